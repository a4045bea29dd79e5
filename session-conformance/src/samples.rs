//! Helpers for engine-specific tests of engines with their own compare-and-set token: records with
//! one text, owners, and predicates for outcomes.

use std::collections::BTreeSet;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, Indexed, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value, Version};
use session_core::{Provider, Result};

/// The idle time of the samples.
pub const IDLE: Duration = Duration::from_secs(60);
/// A user.
pub const ADA: Owner = Owner([7; 32]);
/// Another user.
pub const BOB: Owner = Owner([9; 32]);

/// A unique storage id.
pub fn id() -> StorageId {
    StorageId::of(&Token::new(&format!("{:016x}", Version::random().0)).expect("a sample"))
}

/// A session with an absolute deadline in a day.
pub fn session(text: &str) -> Record {
    ending_in(Duration::from_secs(86_400), text)
}

/// A session with this absolute deadline.
pub fn ending_in(lifetime: Duration, text: &str) -> Record {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("text", Value::encode(text).expect("a sample"));
    Record::new(Header::new(now, now.after(lifetime), now.after(IDLE)), body)
}

/// The next record over this one.
pub fn next(seen: &Record, text: &str) -> Record {
    let mut body = seen.body.clone();
    body.insert("text", Value::encode(text).expect("a sample"));
    Record::new(seen.header.next(), body)
}

/// The value in the session.
pub fn text(record: &Record) -> String {
    record.body.get("text").expect("a sample").decode().expect("a sample")
}

/// Creates a session. Panics if that is refused, or if the record gets no compare token.
pub async fn create(provider: &dyn Provider, id: &StorageId, record: &Record) -> Result<()> {
    match provider.write(id, record, Condition::Absent, IDLE).await? {
        WriteOutcome::Stored(stored) => assert_ne!(stored.cas, 0),
        WriteOutcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
    Ok(())
}

/// Writes over the record that was read.
pub async fn over(
    provider: &dyn Provider,
    id: &StorageId,
    seen: &Record,
    text: &str,
) -> Result<WriteOutcome> {
    provider.write(id, &next(seen, text), Condition::Over(seen.stamp()), IDLE).await
}

/// A session of this user.
pub fn owned(owner: Owner) -> Record {
    let mut record = session("one");
    record.header.owner = Some(owner);
    record
}

/// The ids of a user's sessions, up to 100.
pub async fn ids(engine: &impl Indexed, owner: &Owner) -> BTreeSet<StorageId> {
    let page = engine.list(owner, None, 100).await.expect("a page");
    page.sessions.into_iter().map(|listed| listed.id).collect()
}

/// Reads a session and writes it with this owner.
pub async fn replace(provider: &dyn Provider, id: &StorageId, owner: Option<Owner>) {
    let seen = provider.read(id, IDLE).await.expect("a read").expect("a record");
    let mut record = next(&seen, "two");
    record.header.owner = owner;
    let outcome = provider.write(id, &record, Condition::Over(seen.stamp()), IDLE).await.expect("a write");
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
}
