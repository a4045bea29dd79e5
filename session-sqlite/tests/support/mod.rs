//! Shared by the tests: a temporary file, and helpers for ids, records and rows.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses a part, and a failure fails the test"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use session_core::Provider as _;
use session_core::clock::{Clock, ManualClock, SystemClock};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, Value};
use session_sqlite::{SqliteConfig, SqliteConnectOptions, SqliteProvider};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tempfile::TempDir;

pub const MINUTE: Duration = Duration::from_mins(1);
pub const DAY: Duration = Duration::from_hours(24);

/// The name of the file in a directory.
pub fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("sessions.db")
}

/// A provider with its own file and a clock that does not advance.
pub async fn store() -> (SqliteProvider, ManualClock, TempDir) {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let provider = SqliteProvider::connect(SqliteConfig::file(file(&directory))).await.unwrap();
    (provider.clock(Arc::new(clock.clone())), clock, directory)
}

pub async fn connect(config: &str) -> session_core::Result<SqliteProvider> {
    SqliteProvider::connect(config.parse::<SqliteConfig>().unwrap()).await
}

/// A connection behind the provider's back.
pub async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// Runs statements behind the provider's back.
pub async fn sql(file: &Path, statements: &str) {
    let mut connection = open(file).await;
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Keeps the file locked, so that a write waits.
pub async fn lock(directory: &TempDir) -> SqliteConnection {
    let mut other = open(&file(directory)).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

pub async fn unlock(mut other: SqliteConnection) {
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

/// The first column of the first row.
pub async fn ask<T>(file: &Path, question: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let mut connection = open(file).await;
    let row = sqlx::query(AssertSqlSafe(question)).fetch_one(&mut connection).await.unwrap();
    row.try_get(0).unwrap()
}

/// Stores bytes instead of a record.
pub async fn put_raw(file: &Path, id: &StorageId, bytes: Vec<u8>, clock: &dyn Clock) {
    let put = "INSERT INTO session (session_key, session_data, session_expiry) VALUES (?1, ?2, ?3) \
               ON CONFLICT (session_key) DO UPDATE SET session_data = excluded.session_data, \
               session_expiry = excluded.session_expiry";
    let expiry = i64::try_from(clock.now().after(DAY).as_millis()).unwrap();
    let put = sqlx::query(put).bind(id.to_text()).bind(bytes).bind(expiry);
    put.execute(&mut open(file).await).await.unwrap();
}

pub fn id(text: &str) -> StorageId {
    StorageId::plain(text).unwrap()
}

/// A first record with one value and an absolute lifetime of a day.
pub fn record(value: u64) -> Record {
    let now = SystemClock.now();
    with_value(Header::new(now, now.after(DAY), now.after(MINUTE)), value)
}

pub fn next(record: &Record, value: u64) -> Record {
    with_value(record.header.next(), value)
}

pub fn value(record: &Record) -> u64 {
    record.body.get("n").unwrap().decode().unwrap()
}

pub async fn create(provider: &SqliteProvider, id: &StorageId, record: &Record, idle: Duration) {
    let outcome = provider.write(id, record, Condition::Absent, idle).await.unwrap();
    assert!(is_stored(&outcome), "{outcome:?}");
}

pub fn is_stored(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Stored(_))
}

/// One increment through compare-and-set, retried until it is stored.
pub async fn increment(provider: &SqliteProvider, id: &StorageId) {
    loop {
        let seen = provider.read(id, DAY).await.unwrap().unwrap();
        let more = next(&seen, value(&seen) + 1);
        let outcome = provider.write(id, &more, Condition::Over(seen.stamp()), DAY).await.unwrap();
        if is_stored(&outcome) {
            return;
        }
    }
}

fn with_value(header: Header, value: u64) -> Record {
    let mut body = Body::default();
    body.insert("n", Value::encode(&value).unwrap());
    Record::new(header, body)
}

/// A hashed id, as a manager gives it.
pub fn numbered(number: u64) -> StorageId {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    StorageId::from_hash(hash)
}

/// The same record, so many bytes longer.
pub fn with_filling(record: &Record, bytes: usize) -> Record {
    let mut record = record.clone();
    record.body.insert("filling", Value::encode(&"x".repeat(bytes)).unwrap());
    record
}
