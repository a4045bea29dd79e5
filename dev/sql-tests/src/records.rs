//! Records and ids of tests, and short forms of a provider's methods.

use std::time::Duration;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, DestroyOutcome, Rename, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, State, Value};

/// The idle timeout of most tests.
pub const MINUTE: Duration = Duration::from_mins(1);
/// The absolute lifetime of a record.
pub const DAY: Duration = Duration::from_hours(24);

/// An id that is used unchanged.
pub fn id(name: &str) -> StorageId {
    StorageId::plain(name).unwrap()
}

/// A hashed id, like a manager's.
pub fn hashed(number: u64) -> StorageId {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    StorageId::from_hash(hash)
}

/// A first record with one value and a lifetime of one day.
pub fn record(value: &str) -> Record {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("value", Value::encode(value).unwrap());
    Record::new(Header::new(now, now.after(DAY), now.after(MINUTE)), body)
}

/// The same for a session with an owner.
pub fn owned(value: &str, owner: Owner) -> Record {
    let mut record = record(value);
    record.header.owner = Some(owner);
    record
}

/// The record with which a request would replace this one.
pub fn changed(record: &Record, value: &str) -> Record {
    let mut body = record.body.clone();
    body.insert("value", Value::encode(value).unwrap());
    Record::new(record.header.next(), body)
}

/// The value of a record.
pub fn value(record: &Record) -> String {
    record.body.get("value").unwrap().decode().unwrap()
}

/// Writes a record under an unused id.
pub async fn create(sessions: &impl Provider, id: &StorageId, record: &Record) -> WriteOutcome {
    sessions.write(id, record, Condition::Absent, MINUTE).await.unwrap()
}

/// Writes a record over the one that was read.
pub async fn replace(sessions: &impl Provider, id: &StorageId, old: &Record, new: &Record) -> WriteOutcome {
    sessions.write(id, new, Condition::Over(old.stamp()), MINUTE).await.unwrap()
}

/// A rename that owns its arguments.
#[derive(Debug)]
pub struct Move {
    old: StorageId,
    new: StorageId,
    over: Record,
    /// The record under the new id.
    pub record: Record,
    tombstone: Record,
}

impl Move {
    /// From the old id with this record to a new id.
    pub fn new(old: &StorageId, new: &StorageId, over: &Record) -> Self {
        let record = Record::new(over.header.next(), over.body.clone());
        let tombstone = tombstone(over, new);
        Self { old: old.clone(), new: new.clone(), over: over.clone(), record, tombstone }
    }

    /// The arguments for [`Provider::rename`].
    pub fn as_rename(&self) -> Rename<'_> {
        Rename::new((&self.old, self.over.stamp()), (&self.new, &self.record, MINUTE), &self.tombstone)
    }
}

/// The record that is left under the old id.
pub fn tombstone(over: &Record, new: &StorageId) -> Record {
    let mut tombstone = Record::new(over.header.next(), Body::default());
    tombstone.header.state = State::Moved(new.clone());
    tombstone
}

/// Whether the write was done.
pub fn is_stored(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Stored(_))
}

/// The state that a refused write found.
pub fn found(outcome: WriteOutcome) -> Option<Record> {
    match outcome {
        WriteOutcome::Refused(refusal) => refusal.current.map(|record| *record),
        WriteOutcome::Stored(_) => panic!("it was stored"),
    }
}

/// Every operation on one session, checked step by step.
pub async fn a_life(sessions: &impl Provider, number: u64) {
    let (old, new) = (hashed(number), hashed(number + 1_000_000));
    let first = record(&format!("it's \\ {number} ä"));
    assert!(is_stored(&create(sessions, &old, &first).await));
    assert!(!is_stored(&create(sessions, &old, &record("another")).await), "it is there");
    let read = sessions.read(&old, MINUTE).await.unwrap().unwrap();
    assert_eq!(read.body, first.body);
    let second = changed(&read, "b");
    assert!(is_stored(&replace(sessions, &old, &first, &second).await));
    assert!(!is_stored(&replace(sessions, &old, &first, &changed(&first, "late")).await));
    assert!(sessions.touch(&old, &second, MINUTE).await.unwrap());
    assert!(sessions.exists(&old).await.unwrap());
    let moved = Move::new(&old, &new, &second);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    assert!(!sessions.exists(&old).await.unwrap());
    assert_eq!(value(&sessions.read(&new, MINUTE).await.unwrap().unwrap()), "b");
    let destroyed = sessions.destroy(&new, None).await.unwrap();
    assert!(matches!(destroyed, DestroyOutcome::Destroyed));
    assert!(sessions.read(&new, MINUTE).await.unwrap().is_none());
    sessions.gc(10).await.unwrap();
    sessions.count().await.unwrap();
}
