//! Writes that wait for the writer are stored in one transaction, each with its own answer.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::clock::ManualClock;
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::{Error, ErrorKind, Provider as _, Result};
use session_sqlite::{SqliteConfig, SqliteProvider};
use support::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A provider with a file whose log is never moved into it, so that all commits stay in the log.
async fn logged() -> (Arc<SqliteProvider>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = SqliteConfig::file(file(&directory)).auto_checkpoint(false);
    let config = config.busy_timeout(Duration::from_secs(30));
    (Arc::new(SqliteProvider::connect(config).await.unwrap()), directory)
}

/// The number of transactions in the log: frames with the size of the database after a commit
/// (<https://www.sqlite.org/fileformat.html#the_write_ahead_log>).
fn commits(file: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let log = std::fs::read(file.with_extension("db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page = usize::try_from(number(8)).unwrap();
    let frames = (HEADER..log.len()).step_by(FRAME_HEADER + page);
    frames.filter(|frame| log[frame + 8..frame + 16] == log[16..24] && number(frame + 4) > 0).count()
}

async fn write(provider: &SqliteProvider, number: u64) -> Result<WriteOutcome> {
    provider.write(&numbered(number), &record(number), Condition::Absent, DAY).await
}

async fn is_there(provider: &SqliteProvider, number: u64) -> bool {
    provider.read(&numbered(number), DAY).await.unwrap().is_some_and(|found| value(&found) == number)
}

type Writing = JoinHandle<Result<WriteOutcome>>;

/// Begins the write of a session.
async fn begin(provider: &Arc<SqliteProvider>, number: u64) -> Writing {
    let provider = Arc::clone(provider);
    let writing = tokio::spawn(async move {
        let outcome = write(&provider, number).await;
        // The answer is sent after the commit.
        assert!(!outcome.as_ref().is_ok_and(is_stored) || is_there(&provider, number).await);
        outcome
    });
    tokio::task::yield_now().await;
    writing
}

/// Writes these sessions: the first one has the writer, and the others wait for it.
async fn write_all(
    provider: &Arc<SqliteProvider>,
    directory: &TempDir,
    numbers: Range<u64>,
) -> Vec<Result<WriteOutcome>> {
    let (other, mut writing) = (lock(directory).await, Vec::new());
    for number in numbers {
        writing.push(begin(provider, number).await);
    }
    unlock(other).await;
    let mut outcomes = Vec::new();
    for write in writing {
        outcomes.push(write.await.unwrap());
    }
    outcomes
}

/// Makes the write of a session fail with this expression in a trigger.
async fn refuse(directory: &TempDir, number: u64, failing: &str) {
    let key = numbered(number).to_text();
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON session WHEN NEW.session_key = '{key}' \
         BEGIN SELECT {failing}; END"
    );
    sql(&file(directory), &trigger).await;
}

fn kinds(outcomes: &[Result<WriteOutcome>]) -> Vec<Option<ErrorKind>> {
    outcomes.iter().map(|outcome| outcome.as_ref().err().map(Error::kind)).collect()
}

#[tokio::test]
async fn concurrent_writes_are_two_transactions_and_consecutive_ones_are_one_each() {
    let (provider, directory) = logged().await;
    let before = commits(&file(&directory));
    for number in 0..10 {
        assert!(is_stored(&write(&provider, number).await.unwrap()));
    }
    assert_eq!(commits(&file(&directory)) - before, 10);
    for outcome in write_all(&provider, &directory, 10..74).await {
        assert!(is_stored(&outcome.unwrap()));
    }
    assert_eq!(commits(&file(&directory)) - before, 12, "the first write alone, then all others");
    assert_eq!(provider.count().await.unwrap(), Some(74));
}

/// Creates of existing sessions, and writes over other versions.
#[tokio::test]
async fn each_write_of_a_group_has_its_own_outcome() {
    let (provider, directory) = logged().await;
    for number in [2, 4] {
        write(&provider, number).await.unwrap();
    }
    let before = commits(&file(&directory));
    let outcomes = write_all(&provider, &directory, 1..6).await;
    let stored: Vec<_> = outcomes.into_iter().map(|outcome| is_stored(&outcome.unwrap())).collect();
    assert_eq!(stored, [true, false, true, false, true]);
    assert_eq!(commits(&file(&directory)) - before, 2);
}

#[tokio::test]
async fn a_caller_that_gives_up_while_waiting_changes_nothing_and_the_others_are_stored() {
    let (provider, directory) = logged().await;
    let other = lock(&directory).await;
    let first = begin(&provider, 1).await;
    let impatient = timeout(Duration::from_millis(50), write(&provider, 2)).await;
    assert!(impatient.is_err());
    let last = begin(&provider, 3).await;
    unlock(other).await;
    assert!(is_stored(&first.await.unwrap().unwrap()) && is_stored(&last.await.unwrap().unwrap()));
    assert!(!is_there(&provider, 2).await);
}

/// The failures that SQLite limits to the statement, and those that undo the whole transaction.
#[tokio::test]
async fn a_statement_that_fails_fails_no_other_write_of_its_group() {
    for failing in ["RAISE(ABORT, 'refused')", "RAISE(ROLLBACK, 'refused')", "abs(-9223372036854775807 - 1)"]
    {
        let (provider, directory) = logged().await;
        refuse(&directory, 3, failing).await;
        let outcomes = write_all(&provider, &directory, 1..5).await;
        assert_eq!(kinds(&outcomes), [None, None, Some(ErrorKind::Config), None], "{failing}");
        for number in [1, 2, 4] {
            assert!(is_there(&provider, number).await, "{failing}: {number}");
        }
        assert!(!is_there(&provider, 3).await, "{failing}");
        sql(&file(&directory), "DROP TRIGGER refuse").await;
        assert_eq!(kinds(&write_all(&provider, &directory, 5..8).await), [None; 3], "{failing}");
    }
}

/// The application's own table refers to a session, which SQLite checks at the commit.
#[tokio::test]
async fn a_commit_that_one_write_makes_impossible_fails_no_other_write_of_the_group() {
    let (provider, directory) = logged().await;
    for number in [1, 2] {
        write(&provider, number).await.unwrap();
    }
    let key = numbered(1).to_text();
    let cart = format!(
        "CREATE TABLE cart (of TEXT REFERENCES session (session_key) DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO cart VALUES ('{key}')"
    );
    sql(&file(&directory), &cart).await;
    let other = lock(&directory).await;
    let first = begin(&provider, 3).await;
    let mut destroying = Vec::new();
    for number in [1, 2] {
        let provider = Arc::clone(&provider);
        destroying.push(tokio::spawn(async move { provider.destroy(&numbered(number), None).await }));
    }
    let last = begin(&provider, 4).await;
    unlock(other).await;
    let mut destroyed = Vec::new();
    for destroy in destroying {
        destroyed.push(destroy.await.unwrap().map_err(|error| error.kind()));
    }
    assert!(
        matches!(destroyed[..], [Err(ErrorKind::Config), Ok(DestroyOutcome::Destroyed)]),
        "{destroyed:?}"
    );
    assert!(is_stored(&first.await.unwrap().unwrap()) && is_stored(&last.await.unwrap().unwrap()));
    assert!(is_there(&provider, 1).await && !is_there(&provider, 2).await && is_there(&provider, 4).await);
}

/// Another process keeps the file locked for longer than the timeout.
#[tokio::test]
async fn a_locked_file_is_unavailable_to_the_whole_group() {
    let directory = tempfile::tempdir().unwrap();
    let config = SqliteConfig::file(file(&directory)).busy_timeout(Duration::from_millis(50));
    let provider = Arc::new(SqliteProvider::connect(config).await.unwrap());
    let other = lock(&directory).await;
    let mut writing = Vec::new();
    for number in 1..4 {
        writing.push(begin(&provider, number).await);
    }
    for write in writing {
        assert_eq!(write.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    unlock(other).await;
    assert_eq!(kinds(&write_all(&provider, &directory, 1..4).await), [None; 3]);
}

/// SQLite itself would look again about 230 and 330 ms after the write began.
#[tokio::test]
async fn a_write_uses_the_moment_between_two_transactions_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let config = SqliteConfig::file(file(&directory)).busy_timeout(Duration::from_millis(600));
    let provider = Arc::new(SqliteProvider::connect(config).await.unwrap());
    let mut other = lock(&directory).await;
    let writes = [begin(&provider, 1).await, begin(&provider, 2).await, begin(&provider, 3).await];
    sleep(Duration::from_millis(245)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    sleep(Duration::from_millis(65)).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    for write in writes {
        assert!(is_stored(&write.await.unwrap().unwrap()));
    }
    unlock(other).await;
}

/// A runtime may end in the middle of a transaction, while another one uses the same provider.
#[test]
fn a_runtime_that_ends_leaves_no_transaction_open_and_loses_no_stored_session() {
    let runtime = || -> Runtime { Builder::new_current_thread().enable_all().build().unwrap() };
    let lasting = runtime();
    let (provider, directory) = lasting.block_on(logged());
    let stored = Arc::new(Mutex::new(Vec::new()));
    for round in 0..40_u64 {
        let short = runtime();
        short.block_on(async {
            for number in 0..32 {
                let (provider, stored, number) =
                    (Arc::clone(&provider), Arc::clone(&stored), round * 100 + number);
                tokio::spawn(async move {
                    write(&provider, number).await.unwrap();
                    stored.lock().unwrap().push(number);
                });
            }
            sleep(Duration::from_micros(150 * round)).await;
        });
        drop(short);
        let numbers = round * 100 + 90..round * 100 + 93;
        let writes = async { timeout(MINUTE, write_all(&provider, &directory, numbers)).await };
        assert_eq!(kinds(&lasting.block_on(writes).unwrap()), [None; 3], "round {round}");
    }
    lasting.block_on(async {
        let stored = std::mem::take(&mut *stored.lock().unwrap());
        assert!(!stored.is_empty() && stored.len() < 40 * 32, "{}", stored.len());
        for number in stored {
            assert!(is_there(&provider, number).await, "{number}");
        }
        unlock(lock(&directory).await).await;
    });
}

/// The idle deadline is checked when the statement runs, and not when it began to wait.
#[tokio::test]
async fn a_session_that_expires_while_its_write_waits_is_not_revived() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let config = SqliteConfig::file(file(&directory)).busy_timeout(MINUTE);
    let provider = SqliteProvider::connect(config).await.unwrap().clock(Arc::new(clock.clone()));
    let provider = Arc::new(provider);
    for number in 1..5 {
        create(&provider, &numbered(number), &record(number), MINUTE).await;
    }
    let seen = provider.read(&numbered(2), MINUTE).await.unwrap().unwrap();
    let other = lock(&directory).await;
    let first = begin(&provider, 5).await;
    let writer = Arc::clone(&provider);
    let over = tokio::spawn(async move {
        let (over, newer) = (Condition::Over(seen.stamp()), next(&seen, 20));
        is_stored(&writer.write(&numbered(2), &newer, over, MINUTE).await.unwrap())
    });
    let toucher = Arc::clone(&provider);
    let touch = tokio::spawn(async move { toucher.touch(&numbered(3), &record(3), MINUTE).await.unwrap() });
    tokio::task::yield_now().await;
    clock.advance(MINUTE + Duration::from_secs(1));
    unlock(other).await;
    assert!(is_stored(&first.await.unwrap().unwrap()));
    assert!(!over.await.unwrap() && !touch.await.unwrap());
    for number in 1..5 {
        assert!(!is_there(&provider, number).await, "{number}");
    }
}
