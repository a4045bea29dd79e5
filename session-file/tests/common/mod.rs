//! What the tests of this engine share: a directory of their own, and short ways to ids and records.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part, and a failure fails the test"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use session_core::Provider as _;
use session_core::clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, State, Value};
use session_file::{Builder, FileProvider};
use tempfile::TempDir;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A provider in a directory of its own, on a clock that stands still.
pub async fn store() -> (FileProvider, ManualClock, TempDir) {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let provider = on_clock(FileProvider::builder(directory.path()), &clock).await;
    (provider, clock, directory)
}

pub async fn on_clock(builder: Builder, clock: &ManualClock) -> FileProvider {
    builder.clock(Arc::new(clock.clone())).connect().await.unwrap()
}

pub fn id(text: &str) -> StorageId {
    StorageId::plain(text).unwrap()
}

/// Where a session's file lies.
pub fn path(directory: &Path, text: &str) -> PathBuf {
    directory.join(&text[..1]).join(&text[1..2]).join(text)
}

/// A first record that may live for a day, with one value.
pub fn record(value: u64) -> Record {
    let now = SystemClock.now();
    with_value(Header::new(now, now.after(DAY), now.after(MINUTE)), value)
}

pub fn next(record: &Record, value: u64) -> Record {
    with_value(record.header.next(), value)
}

pub fn tombstone(record: &Record, target: &StorageId, deadline: Timestamp) -> Record {
    let mut header = record.header.next();
    header.state = State::Moved(target.clone());
    header.deadline = deadline;
    Record::new(header, Body::default())
}

pub fn value(record: &Record) -> u64 {
    record.body.get("n").unwrap().decode().unwrap()
}

pub async fn create(provider: &FileProvider, text: &str, record: &Record, idle: Duration) {
    let outcome = provider.write(&id(text), record, Condition::Absent, idle).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
}

/// One increment through compare-and-set, tried until it is stored.
pub async fn increment(provider: &FileProvider, id: &StorageId) {
    loop {
        let seen = provider.read(id, DAY).await.unwrap().unwrap();
        let more = next(&seen, value(&seen) + 1);
        let outcome = provider.write(id, &more, Condition::Over(seen.stamp()), DAY).await.unwrap();
        if matches!(outcome, WriteOutcome::Stored(_)) {
            return;
        }
    }
}

fn with_value(header: Header, value: u64) -> Record {
    let mut body = Body::default();
    body.insert("n", Value::encode(&value).unwrap());
    Record::new(header, body)
}
