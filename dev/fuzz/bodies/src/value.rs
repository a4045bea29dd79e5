//! A value, as types of every shape.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use session_core::record::Value;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Tree {
    Leaf,
    Wrapped(Box<Tree>),
    List(Vec<Tree>),
    Pair(u8, Box<Tree>),
    Map { inside: Option<Box<Tree>> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Untagged {
    Address { ip: IpAddr },
    List(Vec<Untagged>),
    Number(u64),
    Text(String),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[expect(clippy::option_option, reason = "it is kept as it is")]
struct Flat {
    before: Option<Option<u8>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Internal>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Struct { value: Option<i64>, peer: SocketAddr },
}

/// What is read as a type is written and read as the same again.
pub fn value(bytes: &[u8]) {
    let value = Value::from_encoded(bytes);
    stays::<serde_json::Value>(&value);
    stays::<Tree>(&value);
    stays::<Untagged>(&value);
    stays::<Flat>(&value);
    stays::<Internal>(&value);
    stays::<IpAddr>(&value);
    stays::<HashMap<String, Vec<u8>>>(&value);
    stays::<(u64, Option<Option<String>>, i128)>(&value);
    stays::<Vec<Option<Option<()>>>>(&value);
    stays::<u128>(&value);
    stays::<char>(&value);
    let _ = value.decode::<f64>();
    let _ = value.decode::<IgnoredAny>();
}

fn stays<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &Value) {
    let Ok(read) = value.decode::<T>() else { return };
    let written = Value::encode(&read).expect("what was read can be written");
    assert_eq!(written.decode::<T>().expect("what was written can be read"), read);
}
