//! Shared by the tests: a clock that they control, and helpers for ids and records.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part, and a failure fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::clock::{Clock as _, ManualClock, Timestamp};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, State, Value};
use session_core::{Provider as _, Result};
use session_memory::{Builder, MemoryProvider};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A provider with a clock that does not advance, and the test's configuration.
pub fn store(setup: impl FnOnce(Builder) -> Builder) -> (MemoryProvider, ManualClock) {
    let clock = ManualClock::default();
    let builder = MemoryProvider::builder().clock(Arc::new(clock.clone()));
    (setup(builder).build().unwrap(), clock)
}

pub fn id(number: usize) -> StorageId {
    StorageId::of(&Token::new(&number.to_string()).unwrap())
}

/// A first record with one value and a lifetime of one day.
pub fn record(clock: &ManualClock, value: u32) -> Record {
    let now = clock.now();
    with_value(Header::new(now, now.after(DAY), now.after(MINUTE)), value)
}

pub fn owned(clock: &ManualClock, user: &str) -> Record {
    let mut record = record(clock, 0);
    record.header.owner = Some(Owner::of(user));
    record
}

pub fn next(record: &Record, value: u32) -> Record {
    with_value(record.header.next(), value)
}

pub fn tombstone(record: &Record, target: &StorageId, deadline: Timestamp) -> Record {
    let mut header = record.header.next();
    header.state = State::Moved(target.clone());
    header.deadline = deadline;
    Record::new(header, Body::default())
}

pub fn value(record: &Record) -> u32 {
    record.body.get("n").unwrap().decode().unwrap()
}

pub async fn create(
    provider: &MemoryProvider,
    id: &StorageId,
    record: &Record,
    idle: Duration,
) -> Result<()> {
    match provider.write(id, record, Condition::Absent, idle).await? {
        WriteOutcome::Stored(_) => Ok(()),
        WriteOutcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn with_value(header: Header, value: u32) -> Record {
    let mut body = Body::default();
    body.insert("n", Value::encode(&value).unwrap());
    Record::new(header, body)
}
