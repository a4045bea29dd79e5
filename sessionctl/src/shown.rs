//! Values and times as text, without the types that they have in the application.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json, json};
use session_kit::clock::Timestamp;
use session_kit::record::Value;

/// A stored value as JSON. What JSON has no form for is shown in the nearest one: bytes as `{"bytes": "hex"}`, keys
/// that are no text as text, numbers that are not finite as text.
pub fn value(value: &Value) -> Json {
    match value.decode::<Any>() {
        Ok(Any(json)) => json,
        Err(error) => json!({ "unreadable": error.message() }),
    }
}

/// What a value is, in a word.
pub const fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "text",
        Json::Array(_) => "list",
        Json::Object(_) => "map",
    }
}

struct Any(Json);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor).map(Self)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(if value.is_finite() { value.into() } else { value.to_string().into() })
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Json, E> {
        let hex = value.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(json!({ "bytes": hex }))
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(Any(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((Any(key), Any(value))) = entries.next_entry()? {
            let key = match key {
                Json::String(text) => text,
                other => other.to_string(),
            };
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// Text of an application or its users, without what would move a terminal's cursor or change its colours.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        // Beside the control characters, those that change the direction of the text around them.
        if character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A length of time in its two largest units.
pub fn span(time: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = time.as_secs();
    let Some(largest) = UNITS.iter().position(|(_, unit)| seconds >= *unit) else { return "0s".to_owned() };
    let (name, unit) = UNITS[largest];
    let mut text = format!("{}{name}", seconds / unit);
    if let Some((name, smaller)) = UNITS.get(largest + 1)
        && seconds % unit >= *smaller
    {
        let _ = write!(text, " {}{name}", seconds % unit / smaller);
    }
    text
}

/// How long ago.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.since(time)))
}

/// How soon.
pub fn ahead(time: Timestamp, now: Timestamp) -> String {
    if time == Timestamp::MAX { "never".to_owned() } else { format!("in {}", span(time.since(now))) }
}

/// A count of bytes.
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    #[expect(clippy::option_option, reason = "an application may have one")]
    fn a_value_is_shown_without_its_type() {
        #[derive(serde::Serialize)]
        struct Cart {
            items: Vec<(String, u32)>,
            coupon: Option<Option<String>>,
            prices: BTreeMap<u8, f64>,
        }
        let cart = Cart {
            items: vec![("tea".to_owned(), 2)],
            coupon: Some(None),
            prices: BTreeMap::from([(1, 2.5), (2, f64::INFINITY)]),
        };
        assert_eq!(
            value(&Value::encode(&cart).unwrap()),
            json!({ "items": [["tea", 2]], "coupon": null, "prices": { "1": 2.5, "2": "inf" } })
        );
        assert_eq!(value(&Value::encode(&u128::MAX).unwrap()), json!({ "bytes": "f".repeat(32) }));
        assert_eq!(value(&Value::encode(&-7_i8).unwrap()), json!(-7));
        let damaged = value(&Value::from_encoded(&[0xd9]));
        assert!(damaged["unreadable"].is_string(), "{damaged}");
    }

    #[test]
    fn text_of_a_user_does_not_reach_the_terminal_as_a_command() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}c\u{202e}d\n é"), "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\\n é");
    }

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        let of = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([0, 59, 60, 3_661, 90_000].map(of), ["0s", "59s", "1m", "1h 1m", "1d 1h"]);
        assert_eq!(ahead(Timestamp::MAX, Timestamp::from_millis(0)), "never");
    }
}
