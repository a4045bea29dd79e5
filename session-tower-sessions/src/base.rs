//! What a record was loaded from, carried along in its data, so that a save knows what its request changed.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use session_core::record::{Body, Record};

/// Under which key a record carries it.
pub(crate) const KEY: &str = "~session-kit.base";

/// The stored record as a value. `None` where it cannot be encoded: the save then does without.
pub(crate) fn carry(stored: &Record) -> Option<Value> {
    let bytes = stored.encode().ok()?;
    Some(json!({ "record": STANDARD_NO_PAD.encode(bytes), "cas": stored.cas }))
}

/// The record that the data came from, if it is still there: `Session::clear` drops it with everything else.
pub(crate) fn of(data: &HashMap<String, Value>) -> Option<Record> {
    let carried = data.get(KEY)?;
    let bytes = STANDARD_NO_PAD.decode(carried.get("record")?.as_str()?).ok()?;
    let mut record = Record::decode(bytes).ok()?;
    record.cas = carried.get("cas")?.as_u64()?;
    Some(record)
}

/// What a request made of `base` (`wanted`), done to what others have made of it (`newer`): key by key, and of two
/// that changed one key the one that is stored last wins.
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
