//! The base of a record: the stored record that it was loaded from. The record's data carries it,
//! so that a save can find the request's changes.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use session_core::record::{Body, Record};

/// The key of the base in a record's data.
pub(crate) const KEY: &str = "~session-kit.base";

/// Encodes the stored record as a value. `None` if it cannot be encoded: the save then works
/// without a base.
pub(crate) fn carry(stored: &Record) -> Option<Value> {
    let bytes = stored.encode().ok()?;
    Some(json!({ "record": STANDARD_NO_PAD.encode(bytes), "cas": stored.cas }))
}

/// Decodes the base from the data, if it is still there: `Session::clear` drops it with everything
/// else.
pub(crate) fn of(data: &HashMap<String, Value>) -> Option<Record> {
    let carried = data.get(KEY)?;
    let bytes = STANDARD_NO_PAD.decode(carried.get("record")?.as_str()?).ok()?;
    let mut record = Record::decode(bytes).ok()?;
    record.cas = carried.get("cas")?.as_u64()?;
    Some(record)
}

/// Applies the changes from `base` to `wanted` to a `newer` body, key by key. If two requests
/// changed one key, the last one to be stored wins.
pub(crate) fn merged(base: &Body, wanted: &Body, newer: &Body) -> Body {
    let mut body = newer.clone();
    for (key, value) in wanted.iter().filter(|(key, value)| base.get(key) != Some(value)) {
        body.insert(key, value.clone());
    }
    for (key, _) in base.iter().filter(|(key, _)| wanted.get(key).is_none()) {
        body.remove(key);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(entries: &[(&str, u64)]) -> Body {
        let mut body = Body::default();
        for (key, value) in entries {
            body.insert(key, session_core::record::Value::encode(value).expect("a number"));
        }
        body
    }

    #[test]
    fn only_what_the_request_changed_is_changed() {
        let base = body(&[("kept", 1), ("ours", 1), ("theirs", 1), ("both", 1), ("deleted", 1)]);
        let wanted = body(&[("kept", 1), ("ours", 2), ("theirs", 1), ("both", 2), ("new", 2)]);
        let newer = body(&[("ours", 1), ("theirs", 3), ("both", 3), ("deleted", 3), ("other", 3)]);
        let expected = body(&[("ours", 2), ("theirs", 3), ("both", 2), ("new", 2), ("other", 3)]);
        assert_eq!(merged(&base, &wanted, &newer), expected);
    }
}
