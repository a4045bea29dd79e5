//! Converts between the records of `tower-sessions` and of `session-core`.

use std::collections::HashMap;

use session_core::clock::Timestamp;
use session_core::record::{Body, Value};
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error, Result};

use crate::base;

/// Returns the values of a session, without the base that this crate adds.
pub(crate) fn body(data: &HashMap<String, serde_json::Value>) -> Result<Body> {
    let mut body = Body::default();
    for (key, value) in data.iter().filter(|(key, _)| *key != base::KEY) {
        let value = Value::encode(value).map_err(|error| Error::Encode(format!("key `{key}`: {error}")))?;
        body.insert(key, value);
    }
    Ok(body)
}

/// Builds the record that a session reads.
pub(crate) fn loaded(id: Id, stored: &session_core::record::Record) -> Result<Record> {
    let decoded = stored.body.iter().map(|(key, value)| {
        let value = value.decode().map_err(|error| Error::Decode(format!("key `{key}`: {error}")))?;
        Ok((key.to_owned(), value))
    });
    Ok(Record { id, data: decoded.collect::<Result<_>>()?, expiry_date: date(stored.header.absolute) })
}

/// Converts a date to whole milliseconds, rounded up; one before 1970 becomes 1970, which has
/// passed too.
pub(crate) fn timestamp(date: OffsetDateTime) -> Timestamp {
    let nanos = u128::try_from(date.unix_timestamp_nanos()).unwrap_or(0);
    Timestamp::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// Converts a time. One after the year 9999 becomes the last second of that year, which is the last
/// that `time` can print.
fn date(time: Timestamp) -> OffsetDateTime {
    let last = time::macros::datetime!(9999-12-31 23:59:59 UTC);
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.as_millis()) * 1_000_000).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_kept_to_the_millisecond_and_clamped() {
        let date_of = |nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("a date");
        let now = date_of(1_700_000_000_123_000_000);
        assert_eq!(date(timestamp(now)), now);
        assert_eq!(timestamp(date_of(1_000_001)).as_millis(), 2);
        assert_eq!(timestamp(date_of(-1)).as_millis(), 0);
        assert_eq!(date(Timestamp::MAX).year(), 9999);
    }
}
