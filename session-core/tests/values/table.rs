//! Values of every shape in serde's data model.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The operation on each row.
pub trait Visit {
    fn row<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: T);
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Unit;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Newtype(pub u32);

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Pair(pub String, pub Option<u8>);

/// Fields that are read differently when serde buffers them.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Fields {
    pub ip: IpAddr,
    pub address: SocketAddr,
    pub id: Uuid,
    pub letter: char,
    pub large: u64,
    pub small: i64,
    pub ratio: f64,
    pub half: f32,
    pub pause: Duration,
    pub when: DateTime<Utc>,
    pub bytes: Vec<u8>,
    pub none: Option<u8>,
    pub counts: BTreeMap<String, u64>,
    pub unit: (),
    pub nested: Option<Option<u8>>,
}

/// Fields with only one form.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Plain {
    pub name: String,
    pub age: Option<u8>,
    #[serde(with = "bytes")]
    pub key: Vec<u8>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub enum External<T> {
    Unit,
    Newtype(T),
    Tuple(u8, T),
    Struct { value: T },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind")]
pub enum Internal<T> {
    Unit,
    Struct { value: T },
}

/// The variants contain the fields of their contents.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind")]
pub enum InternalNewtype {
    Fields(Fields),
    Plain(Plain),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind", content = "content")]
pub enum Adjacent<T> {
    Unit,
    Newtype(T),
    Tuple(u8, T),
    Struct { value: T },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
pub enum Untagged<T> {
    Struct { value: T },
    Tuple(u8, T),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Flat<T> {
    pub before: u8,
    #[serde(flatten)]
    pub inside: T,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct Wide {
    #[serde(with = "session_core::record::int128")]
    pub unsigned: u128,
    #[serde(with = "session_core::record::int128")]
    pub signed: i128,
}

/// Like the crate `serde_bytes`.
pub mod bytes {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

fn fields() -> Fields {
    Fields {
        ip: IpAddr::V6(Ipv6Addr::LOCALHOST),
        address: "192.0.2.1:80".parse().unwrap(),
        id: id(),
        letter: 'ß',
        large: u64::MAX,
        small: i64::MIN,
        ratio: 0.1,
        half: 0.5,
        pause: Duration::new(7, 1),
        when: when(),
        bytes: vec![0, 127, 128, 255],
        none: None,
        counts: BTreeMap::from([("b".into(), 2), ("a".into(), u64::MAX)]),
        unit: (),
        nested: Some(Some(3)),
    }
}

fn plain() -> Plain {
    Plain { name: "ada".into(), age: Some(36), key: vec![0, 200] }
}

fn id() -> Uuid {
    Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)
}

fn when() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 123_000_000).unwrap()
}

/// Every row.
pub fn table(visit: &mut impl Visit) {
    numbers(visit);
    texts_and_bytes(visit);
    two_forms(visit);
    options_and_units(visit);
    collections(visit);
    enums(visit);
}

fn numbers(visit: &mut impl Visit) {
    visit.row("bool", (true, false));
    for (index, number) in [0, 1, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX]
        .into_iter()
        .enumerate()
    {
        visit.row(&format!("u64 {index}"), number);
    }
    for (index, number) in
        [-1, -32, -33, -128, -129, -32_768, -32_769, i64::from(i32::MIN), i64::from(i32::MIN) - 1, i64::MIN]
            .into_iter()
            .enumerate()
    {
        visit.row(&format!("i64 {index}"), number);
    }
    visit.row("small integers", (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN));
    visit.row("u128", u128::MAX);
    visit.row("u128 that fits", 7_u128);
    visit.row("i128", i128::MIN);
    visit.row("i128 that fits", -7_i128);
    visit.row("f32", (0.5_f32, f32::INFINITY, -0.0_f32));
    visit.row("f64", (0.1_f64, f64::NEG_INFINITY, f64::MIN_POSITIVE));
}

fn texts_and_bytes(visit: &mut impl Visit) {
    visit.row("char", ('a', 'ß', '\u{10ffff}'));
    for length in [0, 31, 32, 255, 256, 65_535, 65_536] {
        visit.row(&format!("text {length}"), "x".repeat(length));
    }
    visit.row("Cow<str>", Cow::<'static, str>::Borrowed("grüße"));
    visit.row("Box<str>", Box::<str>::from("text"));
    visit.row("PathBuf", PathBuf::from("/tmp/x"));
    visit.row("Box<[u8]>", Box::<[u8]>::from([0, 127, 128, 255]));
    visit.row("[u8; 4]", [0_u8, 127, 128, 255]);
    visit.row("bytes as bytes", plain());
}

fn two_forms(visit: &mut impl Visit) {
    visit.row("Ipv4Addr", Ipv4Addr::LOCALHOST);
    visit.row("Ipv6Addr", Ipv6Addr::LOCALHOST);
    visit.row("IpAddr", IpAddr::from([192, 0, 2, 1]));
    visit.row::<SocketAddr>("SocketAddr v4", "192.0.2.1:80".parse().unwrap());
    visit.row::<SocketAddr>("SocketAddr v6", "[2001:db8::1]:80".parse().unwrap());
    visit.row("uuid", id());
    visit.row("DateTime", when());
    visit.row("NaiveDate", NaiveDate::from_ymd_opt(2024, 2, 29).unwrap());
    visit.row("Duration", Duration::new(7, 1));
    visit.row("SystemTime", SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5));
    visit.row("addresses as keys", HashMap::from([(IpAddr::from([192, 0, 2, 1]), id())]));
    visit.row("a struct of them", fields());
    visit.row("options of them", (Some(id()), None::<IpAddr>, vec![Some(Ipv4Addr::LOCALHOST)]));
}

fn options_and_units(visit: &mut impl Visit) {
    visit.row("unit", ());
    visit.row("unit struct", Unit);
    visit.row("newtype struct", Newtype(7));
    visit.row("tuple struct", Pair("a".into(), None));
    visit.row("tuple", (1, "b".to_owned(), [Some(2_u8), None]));
    visit.row("None", None::<u8>);
    visit.row("Some", Some(7_u8));
    visit.row("Some(Some)", Some(Some(7_u8)));
    visit.row("Option<Option> None", None::<Option<u8>>);
    visit.row("Some(None)", Some(None::<u8>));
    visit.row("Some(Some(None))", Some(Some(None::<u8>)));
    visit.row("Some(Some(Some(None)))", Some(Some(Some(None::<u8>))));
    visit.row("Some(())", Some(()));
    visit.row("Some(unit struct)", Some(Unit));
    visit.row("Some(null)", Some(serde_json::Value::Null));
    visit.row("options in a list", vec![Some(None), None, Some(Some(1_u8))]);
    visit.row("Untagged Some(None)", Untagged::Struct { value: Some(None::<u8>) });
    visit.row("Flat Some(None)", Flat { before: 1, inside: External::Struct { value: Some(None::<u8>) } });
    visit.row("Result", (Ok::<u8, String>(7), Err::<u8, String>("no".into())));
}

fn collections(visit: &mut impl Visit) {
    for length in [0, 15, 16, 65_535, 65_536] {
        visit.row(&format!("list {length}"), vec![true; length]);
    }
    visit.row("VecDeque", VecDeque::from([1, 2, 3]));
    visit.row("BTreeMap", BTreeMap::from([(-2, 'b'), (1, 'a')]));
    visit.row("BTreeMap 16", (0..16_u8).map(|n| (n.to_string(), n)).collect::<BTreeMap<_, _>>());
    visit.row("BTreeSet", BTreeSet::from(["b".to_owned(), "a".to_owned()]));
    visit.row("HashMap of one", HashMap::from([("a".to_owned(), 1)]));
    visit.row("HashMap", (0..40_u32).map(|n| (n, n.to_string())).collect::<HashMap<_, _>>());
    visit.row("HashMap by tuples", HashMap::from([((1, 'x'), vec![1]), ((0, 'y'), vec![])]));
    visit.row("HashMap by enums", HashMap::from([(Key::Unit, 1), (Key::Newtype(2), 2)]));
    visit.row("HashSet", (0..40_u32).map(|n| n.to_string()).collect::<HashSet<_>>());
    visit.row("json", serde_json::json!({"a": [1, -1, 0.5, null, true, {"b": u64::MAX}], "c": ""}));
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
enum Key {
    Unit,
    Newtype(u8),
}

fn enums(visit: &mut impl Visit) {
    visit.row("External", [External::Unit, External::Newtype(1), External::Tuple(1, 2)]);
    visit.row("External struct", External::Struct { value: fields() });
    visit.row("External of External", External::Newtype(External::Tuple(1, External::Newtype(()))));
    visit.row("Internal unit", Internal::<u8>::Unit);
    visit.row("Internal plain", Internal::Struct { value: plain() });
    visit.row("Internal", Internal::Struct { value: fields() });
    visit.row("Internal newtype plain", InternalNewtype::Plain(plain()));
    visit.row("Internal newtype", InternalNewtype::Fields(fields()));
    visit.row("Internal of External", Internal::Struct { value: External::Tuple(1, External::<u8>::Unit) });
    visit.row("Adjacent", [Adjacent::Unit, Adjacent::Newtype(id()), Adjacent::Tuple(1, id())]);
    visit.row("Adjacent struct", Adjacent::Struct { value: fields() });
    visit.row("Untagged plain", [Untagged::Struct { value: plain() }, Untagged::Tuple(1, plain())]);
    visit.row("Untagged", [Untagged::Struct { value: fields() }, Untagged::Tuple(1, fields())]);
    visit.row("Untagged unit struct", Untagged::Struct { value: Unit });
    visit.row("Untagged f64", Untagged::Struct { value: (0.1_f64, f64::MAX, 0.1_f32) });
    visit.row("Untagged u64", Untagged::Struct { value: (u64::MAX, i64::MIN, 'ß') });
    visit.row("Untagged addresses", Untagged::Struct { value: vec![IpAddr::from([192, 0, 2, 1])] });
    visit.row("Untagged in Internal", Internal::Struct { value: Untagged::Struct { value: fields() } });
    visit.row("Flat plain", Flat { before: 1, inside: plain() });
    visit.row("Flat", Flat { before: 1, inside: fields() });
    visit.row("Flat map", Flat { before: 1, inside: BTreeMap::from([("a".to_owned(), 1_u8)]) });
    visit.row("Flat enum", Flat { before: 1, inside: External::Struct { value: plain() } });
    visit.row(
        "Flat in Flat",
        Flat { before: 1, inside: Internal::Struct { value: Flat { before: 2, inside: plain() } } },
    );
    let wide = Wide { unsigned: u128::MAX, signed: i128::MIN };
    visit.row("int128", wide.clone());
    visit.row("Untagged int128", Untagged::Struct { value: wide.clone() });
    visit.row("Internal int128", Internal::Struct { value: wide.clone() });
    visit.row("Flat int128", Flat { before: 1, inside: wide });
}
