//! What the tests of this crate share: records, ids and short names for outcomes.

use std::time::Duration;

use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value};
use session_core::{Provider, Result};

pub const IDLE: Duration = Duration::from_secs(60);

/// A storage id that nobody else has.
pub fn id() -> StorageId {
    StorageId::of(&Token::new(&format!("{:016x}", session_core::record::Version::random().0)).unwrap())
}

/// A session whose absolute deadline is a day away.
pub fn session(text: &str) -> Record {
    ending_in(Duration::from_secs(86_400), text)
}

/// A session with this absolute deadline.
pub fn ending_in(lifetime: Duration, text: &str) -> Record {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("text", Value::encode(text).unwrap());
    Record::new(Header::new(now, now.after(lifetime), now.after(IDLE)), body)
}

/// The next record over this one.
pub fn next(seen: &Record, text: &str) -> Record {
    let mut body = seen.body.clone();
    body.insert("text", Value::encode(text).unwrap());
    Record::new(seen.header.next(), body)
}

/// What the session holds.
pub fn text(record: &Record) -> String {
    record.body.get("text").unwrap().decode().unwrap()
}

/// Creates a session; fails the test when that is refused.
pub async fn create(provider: &dyn Provider, id: &StorageId, record: &Record) -> Result<()> {
    match provider.write(id, record, Condition::Absent, IDLE).await? {
        WriteOutcome::Stored(stored) => assert_ne!(stored.cas, 0),
        WriteOutcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
    Ok(())
}

/// Writes over what was read.
pub async fn over(
    provider: &dyn Provider,
    id: &StorageId,
    seen: &Record,
    text: &str,
) -> Result<WriteOutcome> {
    provider.write(id, &next(seen, text), Condition::Over(seen.stamp()), IDLE).await
}
