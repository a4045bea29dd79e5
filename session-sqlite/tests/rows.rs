//! What is in the file: columns, what a write leaves alone, what a collection gives back, and what
//! others may do with it meanwhile.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_core::Provider as _;
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, ManualClock};
use session_core::engine::Condition;
use session_sqlite::{SqliteConfig, SqliteProvider};
use sqlx::Connection as _;
use support::*;

const HALF_AN_HOUR: Duration = Duration::from_mins(30);

#[tokio::test]
async fn a_row_shows_deadlines_version_and_owner() {
    let (provider, clock, directory) = store().await;
    let mut record = record(7);
    record.header.owner = Some(Owner::of("ada"));
    create(&provider, &numbered(1), &record, MINUTE).await;
    let expiry = i64::try_from(clock.now().after(MINUTE).as_millis()).unwrap();
    let path = file(&directory);
    assert_eq!(ask::<String>(&path, "SELECT session_key FROM session").await, numbered(1).to_text());
    assert_eq!(ask::<i64>(&path, "SELECT session_expiry FROM session").await, expiry);
    let absolute = i64::try_from(record.header.absolute.as_millis()).unwrap();
    assert_eq!(ask::<i64>(&path, "SELECT session_absolute FROM session").await, absolute);
    let version = record.header.version().0.cast_signed();
    assert_eq!(ask::<i64>(&path, "SELECT version FROM session").await, version);
    assert_eq!(ask::<Vec<u8>>(&path, "SELECT owner FROM session").await, Owner::of("ada").0);
    assert_eq!(ask::<Vec<u8>>(&path, "SELECT session_data FROM session").await, record.encode().unwrap());
}

/// The mark of collection is an entry of an index, and a write that moves it costs twice as much.
#[tokio::test]
async fn a_write_leaves_the_indexes_alone_for_a_while() {
    let (provider, clock, directory) = store().await;
    create(&provider, &id("a"), &record(0), HALF_AN_HOUR).await;
    let mark = async || ask::<i64>(&file(&directory), "SELECT collect_after FROM session").await;
    let expiry = async || ask::<i64>(&file(&directory), "SELECT session_expiry FROM session").await;
    let write = async |value: u64| {
        let seen = provider.read(&id("a"), HALF_AN_HOUR).await.unwrap().unwrap();
        let over = Condition::Over(seen.stamp());
        let outcome = provider.write(&id("a"), &next(&seen, value), over, HALF_AN_HOUR).await.unwrap();
        assert!(is_stored(&outcome));
    };
    let first = mark().await;
    clock.advance(MINUTE);
    write(1).await;
    assert_eq!((mark().await, expiry().await), (first, first + 60_000));
    clock.advance(MINUTE);
    write(2).await;
    assert_eq!((mark().await, expiry().await), (first + 120_000, first + 120_000));
}

#[tokio::test]
async fn a_sign_in_reaches_the_index_of_owners() {
    let (provider, _, directory) = store().await;
    create(&provider, &id("a"), &record(0), MINUTE).await;
    let seen = provider.read(&id("a"), MINUTE).await.unwrap().unwrap();
    let mut signed_in = next(&seen, 1);
    signed_in.header.owner = Some(Owner::of("ada"));
    let outcome = provider.write(&id("a"), &signed_in, Condition::Over(seen.stamp()), MINUTE).await.unwrap();
    assert!(is_stored(&outcome));
    let by_owner = "SELECT count(*) FROM session INDEXED BY session_by_user WHERE owner IS NOT NULL";
    assert_eq!(ask::<i64>(&file(&directory), by_owner).await, 1);
}

/// To the millisecond, although the mark of collection is not moved by every write.
#[tokio::test]
async fn what_has_expired_is_collected_and_what_was_written_since_is_not() {
    let (provider, clock, directory) = store().await;
    for name in ["ends", "lasts"] {
        create(&provider, &id(name), &record(0), HALF_AN_HOUR).await;
    }
    clock.advance(MINUTE);
    increment_for(&provider, "lasts", HALF_AN_HOUR).await;
    clock.advance(29 * MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 1);
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert_eq!(ask::<String>(&file(&directory), "SELECT session_key FROM session").await, "lasts");
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 1);
}

async fn increment_for(provider: &SqliteProvider, name: &str, idle: Duration) {
    let seen = provider.read(&id(name), idle).await.unwrap().unwrap();
    let over = Condition::Over(seen.stamp());
    assert!(is_stored(&provider.write(&id(name), &next(&seen, 1), over, idle).await.unwrap()));
}

#[tokio::test]
async fn a_collection_gives_room_back_and_keeps_some_for_the_sessions_to_come() {
    let (provider, clock, directory) = store().await;
    for number in 0..400 {
        create(&provider, &numbered(number), &with_filling(&record(number), 20_000), MINUTE).await;
    }
    let pages = async || ask::<i64>(&file(&directory), "PRAGMA page_count").await;
    let full = pages().await;
    assert!(full > 2_000, "{full}");
    clock.advance(MINUTE);
    assert_eq!(provider.gc(1_000).await.unwrap(), 400);
    let after_one = pages().await;
    assert!(
        after_one < full && after_one >= full - 1_024 - 8,
        "a collection cuts off a little: {after_one} of {full}"
    );
    for _ in 0..4 {
        assert_eq!(provider.gc(1_000).await.unwrap(), 0);
    }
    let pages = pages().await;
    assert!((250..350).contains(&pages), "{pages} of {full}");
}

/// Litestream and its like need to read the log, to have it left alone, and no lock that keeps them
/// out.
#[tokio::test]
async fn with_checkpoints_left_to_another_program_the_log_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let config: SqliteConfig = format!("sqlite:{}?checkpoint=external", path.display()).parse().unwrap();
    let provider = SqliteProvider::connect(config).await.unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    for number in 0..400 {
        create(&provider, &numbered(number), &with_filling(&record(number), 20_000), MINUTE).await;
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before);
    let mut other = open(&path).await;
    let checkpoint = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)");
    let (busy, _, _) = checkpoint.fetch_one(&mut other).await.unwrap();
    assert_eq!(busy, 0, "nothing keeps the other program out");
    assert!(std::fs::metadata(&path).unwrap().len() > 400 * 20_000);
    assert_eq!(std::fs::metadata(path.with_extension("db-wal")).unwrap().len(), 0);
    other.close().await.unwrap();
    assert_eq!(value(&provider.read(&numbered(399), MINUTE).await.unwrap().unwrap()), 399);
}

#[tokio::test]
async fn by_itself_the_log_stays_small() {
    let (provider, _, directory) = store().await;
    for number in 0..400 {
        create(&provider, &numbered(number), &with_filling(&record(number), 20_000), MINUTE).await;
    }
    let log = std::fs::metadata(file(&directory).with_extension("db-wal")).unwrap().len();
    assert!(log < 6 << 20, "{log} bytes");
}

/// A future that is dropped, at whatever await, leaves no transaction open and no answer for
/// somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_leaves_no_lock_and_no_answer_behind() {
    for config in [None, Some(SqliteConfig::memory())] {
        let directory = tempfile::tempdir().unwrap();
        let in_file = config.is_none();
        let config = config.unwrap_or_else(|| SqliteConfig::file(file(&directory)).readers(1));
        let provider = SqliteProvider::connect(config).await.unwrap();
        let provider = Arc::new(provider.clock(Arc::new(ManualClock::default())));
        for number in 0..8 {
            create(&provider, &numbered(number), &record(number), MINUTE).await;
        }
        for round in 0..300_u64 {
            let id = numbered(round % 8);
            let writing = {
                let (provider, id) = (Arc::clone(&provider), id.clone());
                tokio::spawn(async move {
                    let seen = provider.read(&id, MINUTE).await.unwrap().unwrap();
                    let again = next(&seen, value(&seen));
                    let _ = provider.write(&id, &again, Condition::Over(seen.stamp()), MINUTE).await;
                    let _ = provider.gc(1).await;
                })
            };
            tokio::time::sleep(Duration::from_micros(round % 100 * 10)).await;
            writing.abort();
            let other = numbered((round + 1) % 8);
            let found = provider.read(&other, MINUTE).await.unwrap().unwrap();
            assert_eq!(value(&found), (round + 1) % 8, "the answer of another call");
        }
        if in_file {
            let mut other = open(&file(&directory)).await;
            sqlx::raw_sql("BEGIN IMMEDIATE; COMMIT").execute(&mut other).await.unwrap();
        }
        assert_eq!(provider.count().await.unwrap(), Some(8));
    }
}
