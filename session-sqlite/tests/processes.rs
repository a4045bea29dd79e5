//! Several processes on one file: no write is lost, even if one of them is killed.
//!
//! A test starts this binary again, as the same test with the file in the environment.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::Provider as _;
use session_core::engine::Condition;
use session_core::record::Record;
use session_sqlite::{SqliteConfig, SqliteProvider};
use support::*;

const FILE: &str = "SESSION_SQLITE_OTHER_PROCESS";
const DONE: &str = "done ";

/// Another process, killed when the test is done with it.
struct Other(Child);

impl Other {
    fn start(test: &str, file: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture"]).env(FILE, file);
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A provider on the test's file, with a timeout long enough for a busy machine.
async fn patient(file: impl AsRef<Path>) -> SqliteProvider {
    let config = SqliteConfig::file(file).busy_timeout(Duration::from_secs(30));
    SqliteProvider::connect(config).await.unwrap()
}

/// The file, in a process that a test has started.
fn other_process() -> Option<PathBuf> {
    env::var_os(FILE).map(PathBuf::from)
}

/// All of them create the file, and count.
#[tokio::test]
async fn processes_that_start_at_once_on_a_new_file_keep_every_increment() {
    const EACH: u64 = 100;
    if let Some(file) = other_process() {
        let provider = patient(file).await;
        let first = provider.write(&id("shared"), &record(0), Condition::Absent, DAY).await;
        first.unwrap();
        for _ in 0..EACH {
            increment(&provider, &id("shared")).await;
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let test = "processes_that_start_at_once_on_a_new_file_keep_every_increment";
    let mut others: Vec<_> = (0..4).map(|_| Other::start(test, &file(&directory))).collect();
    for other in &mut others {
        assert!(other.0.wait().unwrap().success());
    }
    let provider = patient(file(&directory)).await;
    let total = value(&provider.read(&id("shared"), DAY).await.unwrap().unwrap());
    assert_eq!(total, 4 * EACH);
    assert_eq!(ask::<i64>(&file(&directory), "PRAGMA auto_vacuum").await, 2, "whoever created it");
}

/// The change to WAL needs exclusive access, for which SQLite does not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn processes_that_start_at_once_on_a_new_file_all_connect() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let starting: Vec<_> = (0..8).map(|_| tokio::spawn(patient(path.clone()))).collect();
        for started in starting {
            started.await.unwrap();
        }
    }
}

#[allow(clippy::print_stdout, reason = "reports progress to the other process")]
/// For each number: writes or ends the session of that number, and reports it afterwards.
async fn work_until_killed(file: PathBuf) {
    let provider = Arc::new(patient(file).await);
    // Others write at the same time, so that writes are stored in groups.
    for other in 0..3_u64 {
        let (provider, id) = (Arc::clone(&provider), numbered(SLOTS + other));
        tokio::spawn(async move {
            provider.write(&id, &record(0), Condition::Absent, DAY).await.unwrap();
            loop {
                increment(&provider, &id).await;
            }
        });
    }
    for number in 0_u64.. {
        let id = numbered(number % SLOTS);
        let seen = provider.read(&id, DAY).await.unwrap();
        if number % 7 == 0 {
            provider.destroy(&id, None).await.unwrap();
        } else {
            let (base, condition) = match seen {
                Some(seen) => (next(&seen, number), Condition::Over(seen.stamp())),
                None => (record(number), Condition::Absent),
            };
            let outcome = provider.write(&id, &filled(&base), condition, DAY).await.unwrap();
            assert!(is_stored(&outcome));
        }
        println!("{DONE}{number}");
    }
}

/// The number of sessions of the killed writer.
const SLOTS: u64 = 20;

/// With a filling that follows from its number, so that a mixture of two is detected.
fn filled(record: &Record) -> Record {
    with_filling(record, usize::try_from(value(record) * 997 % 9_000).unwrap())
}

#[tokio::test]
async fn a_killed_writer_loses_no_acknowledged_write_and_blocks_no_other() {
    const TEST: &str = "a_killed_writer_loses_no_acknowledged_write_and_blocks_no_other";
    if let Some(file) = other_process() {
        return work_until_killed(file).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let provider = patient(file(&directory)).await;
    create(&provider, &id("mine"), &record(0), DAY).await;
    let (mut counted, mut checked) = (0, 0);
    for _ in 0..8 {
        let mut other = Other::start(TEST, &file(&directory));
        let (output, begun) = (other.output(), Arc::new(AtomicU64::new(0)));
        let seen = Arc::clone(&begun);
        let lines = tokio::task::spawn_blocking(move || {
            let numbers =
                output.lines().map_while(Result::ok).filter_map(|line| line.split_once(DONE)?.1.parse().ok());
            numbers.inspect(|number| seen.store(*number, Ordering::Relaxed)).collect::<Vec<u64>>()
        });
        // This process continues to write meanwhile.
        let enough = rand::random_range(30..90);
        while begun.load(Ordering::Relaxed) < enough {
            increment(&provider, &id("mine")).await;
            counted += 1;
        }
        other.0.kill().unwrap();
        other.0.wait().unwrap();
        increment(&provider, &id("mine")).await;
        counted += 1;

        let done = lines.await.unwrap();
        let last = *done.last().unwrap();
        // The write of the next number may have been in progress.
        for number in done.iter().rev().take(usize::try_from(SLOTS - 1).unwrap()) {
            assert!(last - number < SLOTS - 1, "every number is reported");
            let found = provider.read(&numbered(number % SLOTS), DAY).await.unwrap();
            assert_eq!(found.as_ref().map(value), (number % 7 != 0).then_some(*number));
            if let Some(found) = found {
                assert!(filled(&found).body == found.body, "record {number} is a mixture");
                checked += 1;
            }
        }
        assert_eq!(ask::<String>(&file(&directory), "PRAGMA integrity_check").await, "ok");
    }
    assert_eq!(value(&provider.read(&id("mine"), DAY).await.unwrap().unwrap()), counted);
    assert!(checked > 80, "only {checked} records were looked at");
}

/// A lock held for too long is an error in time that says so; reads still work.
#[tokio::test]
async fn a_write_that_waits_too_long_fails_in_time_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(200);
    let config = SqliteConfig::file(file(&directory)).busy_timeout(timeout);
    let provider = SqliteProvider::connect(config).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    let mut holder = open(&file(&directory)).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();

    let seen = provider.read(&id("a"), MINUTE).await.unwrap().unwrap();
    let begun = std::time::Instant::now();
    let over = Condition::Over(seen.stamp());
    let error = provider.write(&id("a"), &next(&seen, 2), over, MINUTE).await.unwrap_err();
    assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
    assert_eq!(error.kind(), session_core::ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("`busy_timeout`"), "{error}");

    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(value(&provider.read(&id("a"), MINUTE).await.unwrap().unwrap()), 1);
    increment(&provider, &id("a")).await;
}
