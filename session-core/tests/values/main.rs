//! `get` returns every value that `set` accepts: a table of types, and sessions stored by an
//! earlier version.
#![allow(clippy::unwrap_used, clippy::panic, clippy::option_option, missing_docs)]

mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_core::ErrorKind;
use session_core::record::Value;
use table::{External, Flat, Internal, Untagged, Visit, table};

#[test]
fn every_type_of_the_table_is_read_back_as_it_was_stored() {
    struct RoundTrip(Vec<String>);
    impl Visit for RoundTrip {
        fn row<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: T) {
            match Value::encode(&value).and_then(|stored| stored.decode::<T>()) {
                Ok(read) if read == value => {}
                Ok(read) => self.0.push(format!("{name}: {read:?}")),
                Err(error) => self.0.push(format!("{name}: {error}")),
            }
        }
    }
    let mut wrong = RoundTrip(Vec::new());
    table(&mut wrong);
    assert!(wrong.0.is_empty(), "{:#?}", wrong.0);
}

/// `stored.tsv` was written by the last version that did not store addresses and UUIDs in
/// human-readable form.
#[test]
fn values_stored_by_an_earlier_version_are_still_read() {
    struct Stored(HashMap<&'static str, Value>, Vec<String>);
    impl Visit for Stored {
        fn row<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: T) {
            let Some(stored) = self.0.remove(name) else { return };
            match stored.decode::<T>() {
                Ok(read) if read == value => {}
                other => self.1.push(format!("{name}: {other:?}")),
            }
        }
    }
    let lines = include_str!("stored.tsv").lines().map(|line| line.split_once('\t').unwrap());
    let stored: HashMap<_, _> =
        lines.map(|(name, hex)| (name, Value::from_encoded(&from_hex(hex)))).collect();
    assert!(stored.len() > 70);
    let mut visit = Stored(stored, Vec::new());
    table(&mut visit);
    assert!(visit.1.is_empty(), "{:#?}", visit.1);
    assert!(visit.0.is_empty(), "in the file and not in the table: {:?}", visit.0.keys());
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Any `MessagePack` tool can read stored values, except for nested options.
#[test]
fn stored_values_equal_those_written_by_rmp_serde() {
    struct Compare;
    impl Visit for Compare {
        fn row<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: T) {
            let own = ["128", "Hash", "Some(", "options in", "unit struct"];
            if own.iter().any(|part| name.contains(part)) {
                return;
            }
            let mut theirs = Vec::new();
            let mut serializer =
                rmp_serde::Serializer::new(&mut theirs).with_struct_map().with_human_readable();
            value.serialize(&mut serializer).unwrap();
            assert_eq!(Value::encode(&value).unwrap().as_encoded(), theirs, "{name}");
        }
    }
    table(&mut Compare);
}

#[test]
fn nan_is_kept() {
    let stored = Value::encode(&(f32::NAN, f64::NAN, Untagged::Struct { value: f64::NAN })).unwrap();
    let (single, double, Untagged::Struct { value }) = stored.decode::<(f32, f64, Untagged<f64>)>().unwrap()
    else {
        panic!("another variant")
    };
    assert!(single.is_nan() && double.is_nan() && value.is_nan());
}

#[test]
fn borrowed_values_are_read_back_as_owned_ones() {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        name: &'a str,
        list: &'a [u8],
    }
    #[derive(Deserialize, PartialEq, Debug)]
    struct Owned {
        name: String,
        list: Vec<u8>,
    }
    let stored = Value::encode(&Borrowed { name: "ada", list: &[1, 200] }).unwrap();
    assert_eq!(stored.decode::<Owned>().unwrap(), Owned { name: "ada".into(), list: vec![1, 200] });
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Tree {
    Leaf,
    Wrapped(Box<Tree>),
    List(Vec<Tree>),
    Pair(u8, Box<Tree>),
    Map { inside: Box<Tree> },
}

fn grown(depth: usize, grow: impl Fn(Tree) -> Tree) -> Tree {
    (0..depth).fold(Tree::Leaf, |tree, _| grow(tree))
}

#[test]
fn a_value_that_nests_too_deep_is_refused_by_set() {
    let lists = |depth| (0..depth).fold(serde_json::json!(1), |inside, _| serde_json::json!([inside]));
    let maps = |depth| (0..depth).fold(serde_json::json!(1), |inside, _| serde_json::json!({ "a": inside }));
    for value in [lists(127), maps(127)] {
        assert_eq!(Value::encode(&value).unwrap().decode::<serde_json::Value>().unwrap(), value);
    }
    for value in [lists(128), maps(128), lists(1_000), maps(1_000)] {
        let error = Value::encode(&value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.message().contains("deeper than 127 levels"), "{error}");
    }
    let ways: [fn(Tree) -> Tree; 4] = [
        |tree| Tree::Wrapped(Box::new(tree)),
        |tree| Tree::List(vec![tree]),
        |tree| Tree::Pair(1, Box::new(tree)),
        |tree| Tree::Map { inside: Box::new(tree) },
    ];
    for grow in ways {
        let value = grown(127, grow);
        assert_eq!(Value::encode(&value).unwrap().decode::<Tree>().unwrap(), value);
        assert_eq!(Value::encode(&grown(128, grow)).unwrap_err().kind(), ErrorKind::Codec);
    }
}

#[test]
fn a_deeply_nested_value_is_an_error_and_not_a_stack_overflow() {
    #[derive(Deserialize, Debug)]
    struct Chain(#[expect(dead_code, reason = "only read")] Option<Box<Chain>>);
    let of = |unit: &[u8]| Value::from_encoded(&unit.repeat((1 << 20) / unit.len()));
    for value in [of(&[0x91]), of(&[0x81, 0xa1, b'a']), of(&[0xd4, 1]), of(&[0xc7, 255, 1])] {
        assert_eq!(value.decode::<serde_json::Value>().unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(value.decode::<Untagged<u8>>().unwrap_err().kind(), ErrorKind::Codec);
    }
    let wrapped = of(b"\x81\xa7Wrapped");
    assert_eq!(wrapped.decode::<Tree>().unwrap_err().kind(), ErrorKind::Codec);
    assert_eq!(of(&[0xd4, 1]).decode::<Chain>().unwrap_err().kind(), ErrorKind::Codec);
}

#[test]
fn a_false_length_allocates_nothing() {
    for bytes in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ] {
        let value = Value::from_encoded(bytes);
        assert_eq!(value.decode::<Vec<[u64; 32]>>().unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(value.decode::<HashMap<String, u8>>().unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(value.decode::<serde::de::IgnoredAny>().unwrap_err().kind(), ErrorKind::Codec);
    }
}

#[test]
fn a_wide_integer_that_serde_cannot_read_is_an_error_with_advice() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Number {
        value: u128,
    }
    let stored = Value::encode(&Internal::Struct { value: Number { value: u128::MAX } }).unwrap();
    let error = stored.decode::<Internal<Number>>().unwrap_err();
    assert!(error.message().contains("session_core::record::int128"), "{error}");
}

#[test]
fn no_error_shows_a_value() {
    #[derive(Deserialize, Debug)]
    enum Choice {
        One,
    }
    let stored = Value::encode("hunter2").unwrap();
    let errors = [
        stored.decode::<u32>().map(drop),
        stored.decode::<Choice>().map(drop),
        stored.decode::<Vec<u8>>().map(drop),
        stored.decode::<std::net::IpAddr>().map(drop),
        stored.decode::<External<u8>>().map(drop),
        Value::encode(&["hunter2"]).unwrap().decode::<(u8,)>().map(drop),
        Value::encode(&HashMap::from([("kind", "hunter2")])).unwrap().decode::<Internal<u8>>().map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(!format!("{stored:?}").contains("hunter2"));
}

#[test]
fn a_type_with_two_forms_is_not_taken_for_another_one() {
    let text = Value::encode("127.0.0.1").unwrap();
    assert_eq!(text.decode::<String>().unwrap(), "127.0.0.1");
    assert_eq!(text.decode::<std::net::IpAddr>().unwrap(), std::net::Ipv4Addr::LOCALHOST);
    for other in
        [Value::encode(&7).unwrap(), Value::encode("no address").unwrap(), Value::encode(&[1, 2]).unwrap()]
    {
        assert_eq!(other.decode::<std::net::IpAddr>().unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(other.decode::<uuid::Uuid>().unwrap_err().kind(), ErrorKind::Codec);
    }
}

#[test]
fn adding_an_optional_field_does_not_break_stored_values() {
    #[derive(Serialize)]
    struct Before {
        name: String,
        gone: Vec<u8>,
    }
    #[derive(Deserialize, PartialEq, Debug)]
    struct After {
        #[serde(alias = "name")]
        full_name: String,
        email: Option<String>,
        #[serde(default)]
        visits: u32,
    }
    let stored = Value::encode(&Before { name: "ada".into(), gone: vec![1] }).unwrap();
    let expected = After { full_name: "ada".into(), email: None, visits: 0 };
    assert_eq!(stored.decode::<After>().unwrap(), expected);
    assert_eq!(stored.decode::<u32>().unwrap_err().kind(), ErrorKind::Codec);
}

#[test]
fn an_integer_may_change_its_width() {
    assert_eq!(Value::encode(&7_u128).unwrap().decode::<u8>().unwrap(), 7);
    assert_eq!(Value::encode(&-7_i128).unwrap().decode::<i64>().unwrap(), -7);
    assert_eq!(Value::encode(&7_u8).unwrap().decode::<i128>().unwrap(), 7);
    assert_eq!(Value::encode(&-7).unwrap().decode::<u128>().unwrap_err().kind(), ErrorKind::Codec);
    assert_eq!(Value::encode(&300).unwrap().decode::<u8>().unwrap_err().kind(), ErrorKind::Codec);
}

/// Lengths around those at which their encoding changes, and with all bits of the shortest one.
const LENGTHS: [usize; 13] = [0, 1, 2, 5, 10, 15, 16, 21, 31, 32, 255, 256, 70_000];

fn of_every_length() -> Vec<Value> {
    let mut values = Vec::new();
    for length in LENGTHS {
        values.push(Value::encode(&vec![true; length]).unwrap());
        values.push(Value::encode(&"x".repeat(length)).unwrap());
        let map: BTreeMap<_, _> = (0..length).map(|key| (key, None::<u8>)).collect();
        values.push(Value::encode(&map).unwrap());
    }
    values
}

#[test]
fn collections_and_texts_of_every_length_are_read_back() {
    for length in LENGTHS {
        let (list, text) = (vec![true; length], "x".repeat(length));
        let map: BTreeMap<_, _> = (0..length).map(|key| (key, None::<u8>)).collect();
        assert_eq!(Value::encode(&list).unwrap().decode::<Vec<bool>>().unwrap(), list);
        assert_eq!(Value::encode(&text).unwrap().decode::<String>().unwrap(), text);
        assert_eq!(Value::encode(&map).unwrap().decode::<BTreeMap<usize, Option<u8>>>().unwrap(), map);
    }
}

#[test]
fn a_field_that_is_not_known_any_more_is_skipped_whatever_it_is() {
    #[derive(Deserialize)]
    struct Kept {
        kept: u8,
    }
    let mut raw: Vec<Vec<u8>> = of_every_length().iter().map(|value| value.as_encoded().to_vec()).collect();
    for (mark, bytes) in
        [(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8), (0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)]
            .into_iter()
            .chain([(0xca, 4), (0xcb, 8), (0xd4, 2), (0xd5, 3), (0xd6, 5), (0xd7, 9), (0xd8, 17)])
            .chain([(0xc0, 0), (0xc2, 0), (0xc3, 0), (0x00, 0), (0x7f, 0), (0xe0, 0), (0xff, 0)])
    {
        raw.push([vec![mark], vec![1; bytes]].concat());
    }
    // Bytes, and extension values, with a length of one, two and four bytes.
    for length in [0_u32, 1, 5, 200] {
        let [.., a, b, c, d] = length.to_be_bytes();
        for (first, more) in [(0xc4, 0), (0xc7, 1)] {
            for (mark, prefix) in [(first, vec![d]), (first + 1, vec![c, d]), (first + 2, vec![a, b, c, d])] {
                raw.push([vec![mark], prefix, vec![1; length as usize + more]].concat());
            }
        }
    }
    for unknown in raw {
        let stored = [&b"\x82\xa7unknown"[..], &unknown, b"\xa4kept\x07"].concat();
        let kept = Value::from_encoded(&stored).decode::<Kept>().map(|read| read.kept);
        assert!(matches!(kept, Ok(7)), "{:x?}: {kept:?}", &unknown[..unknown.len().min(20)]);
    }
}

#[test]
fn extra_bytes_after_a_value_are_an_error_in_both_forms_of_a_type() {
    let id = uuid::Uuid::from_bytes([7; 16]);
    let compact = [&b"\xc4\x10"[..], id.as_bytes()].concat();
    for stored in [compact, Value::encode(&id).unwrap().as_encoded().to_vec()] {
        assert_eq!(Value::from_encoded(&stored).decode::<uuid::Uuid>().unwrap(), id);
        let longer = [stored, vec![0]].concat();
        let error = Value::from_encoded(&longer).decode::<uuid::Uuid>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
    }
}

/// Announces the length that its iterator may have, or another one.
struct Announced(Option<usize>, Vec<u8>);

impl Serialize for Announced {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut list = serializer.serialize_seq(self.0)?;
        self.1.iter().try_for_each(|number| list.serialize_element(number))?;
        list.end()
    }
}

#[test]
fn a_list_has_as_many_elements_as_it_announced_or_its_own_number() {
    for length in [0, 1, 20, 300] {
        let list = vec![7_u8; length];
        for announced in [None, Some(length)] {
            let stored = Value::encode(&Announced(announced, list.clone())).unwrap();
            assert_eq!(stored.decode::<Vec<u8>>().unwrap(), list, "{announced:?}");
        }
        for wrong in [length + 1, length.wrapping_sub(1) % 1_000] {
            let error = Value::encode(&Announced(Some(wrong), list.clone())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Codec, "{wrong} for {length}");
        }
    }
}

#[test]
fn an_iterator_that_does_not_know_its_length_is_stored() {
    struct Even(u8);
    impl Serialize for Even {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..self.0).filter(|number| number % 2 == 0))
        }
    }
    for (below, expected) in [(0, vec![]), (1, vec![0]), (5, vec![0, 2, 4])] {
        assert_eq!(Value::encode(&Even(below)).unwrap().decode::<Vec<u8>>().unwrap(), expected);
    }
}

/// Some encoders write a variant without a value as a map of its name to nothing.
#[test]
fn a_variant_without_a_value_may_be_a_map_to_nothing() {
    assert_eq!(Value::from_encoded(b"\x81\xa4Leaf\xc0").decode::<Tree>().unwrap(), Tree::Leaf);
    assert!(Value::from_encoded(b"\x81\xa4Leaf\x07").decode::<Tree>().is_err());
}

#[test]
fn an_extension_value_of_another_type_or_of_a_false_length_is_an_error() {
    assert_eq!(Value::encode(&Some(None::<u8>)).unwrap().as_encoded(), b"\xd4\x01\xc0");
    assert_eq!(Value::from_encoded(b"\xd4\x01\xc0").decode::<Option<Option<u8>>>().unwrap(), Some(None));
    for other in [&b"\xd4\x02\xc0"[..], b"\xc7\x01\x02\xc0", b"\xc7\x05\x01\xc0", b"\xd5\x01\xc0\xc0"] {
        let error = Value::from_encoded(other).decode::<Option<Option<u8>>>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
    }
}

#[test]
fn an_error_names_the_kind_of_value_that_was_found() {
    for (stored, kind) in [
        (Value::encode(&true), "a boolean"),
        (Value::encode(&7), "an integer"),
        (Value::encode(&-7), "an integer"),
        (Value::encode(&0.5), "a floating point number"),
        (Value::encode(&()), "nil"),
        (Value::encode(&[1]), "a list"),
        (Value::encode(&BTreeMap::from([(1, 2)])), "a map"),
    ] {
        let error = stored.unwrap().decode::<String>().unwrap_err();
        assert!(error.message().contains(&format!("{kind}, expected a string")), "{kind}: {error}");
    }
    let error = Value::encode("text").unwrap().decode::<u8>().unwrap_err();
    assert!(error.message().contains("a string, expected u8"), "{error}");
}

#[test]
fn a_number_of_128_bits_as_text_says_what_it_can_be() {
    #[derive(Deserialize, Debug)]
    struct Number(#[serde(with = "session_core::record::int128")] u128);
    assert_eq!(Value::encode("7").unwrap().decode::<Number>().unwrap().0, 7);
    assert_eq!(Value::encode(&7).unwrap().decode::<Number>().unwrap().0, 7);
    for (stored, why) in [
        (Value::encode(&true), "a boolean, expected an integer, or one as text"),
        (Value::encode("seven"), "the text is not an integer, or out of range"),
        (Value::encode(&-7), "the integer is out of range"),
    ] {
        let error = stored.unwrap().decode::<Number>().unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}

#[test]
fn a_value_is_printed_as_its_size() {
    assert_eq!(format!("{:?}", Value::encode("text").unwrap()), "Value(5 bytes)");
}

#[test]
fn an_empty_map_is_no_number() {
    let empty = Value::encode(&BTreeMap::<String, u8>::new()).unwrap();
    assert!(empty.decode::<u64>().is_err() && empty.decode::<i32>().is_err());
}

#[test]
fn values_in_values_are_limited_by_their_depth_and_not_by_their_number() {
    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
    struct Pair(u8, u8);
    fn many<T: Serialize + DeserializeOwned + PartialEq + Debug>(make: impl Fn() -> T) {
        let values: Vec<_> = (0..300).map(|_| make()).collect();
        assert_eq!(Value::encode(&values).unwrap().decode::<Vec<T>>().unwrap(), values);
    }
    many(|| vec![1_u8]);
    many(|| (1_u8, 2_u8));
    many(|| Pair(1, 2));
    many(|| BTreeMap::from([(1_u8, 2_u8)]));
    many(|| HashMap::from([(1_u8, 2_u8)]));
    many(|| Cart { items: HashMap::new() });
    many(|| Tree::Wrapped(Box::new(Tree::Leaf)));
    many(|| Tree::List(vec![Tree::Leaf]));
    many(|| Tree::Pair(1, Box::new(Tree::Leaf)));
    many(|| Tree::Map { inside: Box::new(Tree::Leaf) });
    many(|| Some(None::<u8>));
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Cart {
    items: HashMap<String, HashSet<u32>>,
}

proptest! {
    #[test]
    fn equal_maps_and_sets_have_equal_bytes(entries in prop::collection::vec((".{0,40}", prop::collection::vec(any::<u32>(), 0..40)), 0..40)) {
        // Every map has its own hash keys, and therefore its own order.
        let cart = || {
            let items = entries.iter().map(|(key, numbers)| (key.clone(), numbers.iter().copied().collect()));
            Cart { items: items.collect() }
        };
        let stored = Value::encode(&cart()).unwrap();
        prop_assert_eq!(&Value::encode(&cart()).unwrap(), &stored);
        prop_assert_eq!(stored.decode::<Cart>().unwrap(), cart());
    }

    #[test]
    fn a_map_of_another_kind_keeps_its_order(entries in prop::collection::vec((".{0,40}", any::<u8>()), 0..40)) {
        let list = InOrder(entries);
        prop_assert_eq!(Value::encode(&list).unwrap().decode::<InOrder>().unwrap(), list);
    }

    #[test]
    fn hostile_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let value = Value::from_encoded(&bytes);
        let _ = value.decode::<serde_json::Value>();
        let _ = value.decode::<Tree>();
        let _ = value.decode::<Flat<BTreeMap<String, Option<Option<u8>>>>>();
        let _ = value.decode::<table::Fields>();
        let _ = value.decode::<serde::de::IgnoredAny>();
    }
}

/// Serialized like `IndexMap`, whose order is significant.
#[derive(PartialEq, Debug)]
struct InOrder(Vec<(String, u8)>);

impl Serialize for InOrder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = InOrder;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
