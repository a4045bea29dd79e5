//! Several processes on one directory: none is lost, killed or stopped at anybody else's expense.
//!
//! A test starts this binary again, as the same test with a directory in the environment: that is the other process.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{DAY, create, id, increment, next, record, value};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Value};
use session_core::{ErrorKind, Provider as _};
use session_file::FileProvider;

const DIRECTORY: &str = "SESSION_FILE_OTHER_PROCESS";
const READY: &str = "the other process is at work";

/// Another process, killed when the test is done with it.
struct Other(Child);

impl Other {
    fn start(test: &str, directory: &Path) -> Self {
        let command = env::current_exe().unwrap();
        let mut command = Command::new(command);
        command.args([test, "--exact", "--nocapture"]).env(DIRECTORY, directory);
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    fn wait_until_at_work(&mut self) {
        let output = self.0.stdout.take().unwrap();
        assert!(BufReader::new(output).lines().any(|line| line.unwrap().contains(READY)));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Stops it, and returns when all of it has stopped.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let status = waitpid(Some(Pid::from_child(&self.0)), WaitOptions::UNTRACED).unwrap();
        assert!(status.is_some_and(|(_, status)| status.stopped()));
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory, in the process that a test has started.
fn other_process() -> Option<PathBuf> {
    env::var_os(DIRECTORY).map(PathBuf::from)
}

#[tokio::test]
async fn four_processes_keep_every_increment() {
    const EACH: u64 = 250;
    if let Some(directory) = other_process() {
        let provider = FileProvider::connect(directory).await.unwrap();
        for _ in 0..EACH {
            increment(&provider, &id("shared")).await;
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let provider = FileProvider::connect(directory.path()).await.unwrap();
    create(&provider, "shared", &record(0), DAY).await;
    let mut others: Vec<_> =
        (0..4).map(|_| Other::start("four_processes_keep_every_increment", directory.path())).collect();
    for other in &mut others {
        assert!(other.0.wait().unwrap().success());
    }
    assert_eq!(value(&provider.read(&id("shared"), DAY).await.unwrap().unwrap()), 4 * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_of_one_process_get_their_turn() {
    let directory = tempfile::tempdir().unwrap();
    let provider = std::sync::Arc::new(FileProvider::connect(directory.path()).await.unwrap());
    create(&provider, "shared", &record(0), DAY).await;
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let provider = std::sync::Arc::clone(&provider);
            tokio::spawn(async move {
                for _ in 0..5 {
                    increment(&provider, &id("shared")).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(value(&provider.read(&id("shared"), DAY).await.unwrap().unwrap()), 320);
}

/// A record whose filling follows from its number, so that a mixture of two would be seen.
fn filled(base: &Record, number: u64) -> Record {
    let mut record = next(base, number);
    let filling = format!("{number:07}").repeat(usize::try_from(number % 9_000).unwrap());
    record.body.insert("filling", Value::encode(&filling).unwrap());
    record
}

fn assert_whole(record: &Record) {
    let expected = filled(record, value(record));
    assert!(record.body == expected.body, "record {} is a mixture", value(record));
}

/// Ids of the sessions that are written while their writer is killed.
fn targets() -> impl Iterator<Item = StorageId> {
    (0..6).map(|number| id(&format!("target-{number}")))
}

#[tokio::test]
async fn a_writer_that_is_killed_at_any_moment_leaves_whole_records() {
    if let Some(directory) = other_process() {
        let provider = FileProvider::connect(directory).await.unwrap();
        let first = u64::from(std::process::id());
        for number in first.. {
            let target = targets().nth(usize::try_from(number % 6).unwrap()).unwrap();
            let (record, condition) = match provider.read(&target, DAY).await.unwrap() {
                Some(seen) => (filled(&seen, number * 31), Condition::Over(seen.stamp())),
                None => (filled(&record(number), number * 31), Condition::Absent),
            };
            let outcome = provider.write(&target, &record, condition, DAY).await.unwrap();
            assert!(matches!(outcome, WriteOutcome::Stored(_)));
            if number % 5 == 0 {
                provider.destroy(&target, None).await.unwrap();
            }
            if number == first + 20 {
                println!("{READY}");
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let provider = FileProvider::connect(directory.path()).await.unwrap();
    let mut seen = 0;
    for round in 0..12 {
        let mut other =
            Other::start("a_writer_that_is_killed_at_any_moment_leaves_whole_records", directory.path());
        other.wait_until_at_work();
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..20_000))).await;
        drop(other);
        for target in targets() {
            if let Some(record) = provider.read(&target, DAY).await.unwrap() {
                assert_whole(&record);
                seen += 1;
            }
        }
        assert!(provider.count().await.unwrap() <= Some(6), "round {round}");
        assert_eq!(provider.gc(100).await.unwrap(), 0);
    }
    assert!(seen > 12, "only {seen} records were looked at");
}

/// The lock of a directory that somebody holds.
fn held_lock(directory: &Path) -> Option<PathBuf> {
    let mut locks = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    locks.find(|path| {
        path.to_string_lossy().contains("/.lock-") && {
            let lock = std::fs::File::open(path).unwrap();
            flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
        }
    })
}

/// Starts this test in another process, which writes to the session `shared` without end, and stops it while it holds its lock.
async fn stopped_with_a_lock(test: &str, directory: &Path) -> (Other, PathBuf) {
    let mut other = Other::start(test, directory);
    other.wait_until_at_work();
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..2_000))).await;
        other.stop();
        if let Some(lock) = held_lock(directory) {
            return (other, lock);
        }
        other.signal(Signal::CONT);
        assert!(begun.elapsed() < Duration::from_secs(30), "the other process never held its lock");
    }
}

#[tokio::test]
async fn a_stopped_process_that_holds_a_lock_makes_others_fail_in_time_and_not_hang() {
    if let Some(directory) = other_process() {
        let provider = FileProvider::connect(directory).await.unwrap();
        println!("{READY}");
        loop {
            increment(&provider, &id("shared")).await;
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(200);
    let provider = FileProvider::builder(directory.path()).lock_timeout(timeout).connect().await.unwrap();
    create(&provider, "shared", &record(0), DAY).await;
    let test = "a_stopped_process_that_holds_a_lock_makes_others_fail_in_time_and_not_hang";
    let (other, _lock) = stopped_with_a_lock(test, directory.path()).await;

    // Reads need no lock.
    let shared = id("shared");
    let seen = provider.read(&shared, DAY).await.unwrap().unwrap();
    let begun = Instant::now();
    let (write, destroy, touch) = tokio::join!(
        provider.write(&shared, &seen, Condition::Over(seen.stamp()), DAY),
        provider.destroy(&shared, None),
        provider.touch(&shared, &seen, DAY),
    );
    assert!(begun.elapsed() >= timeout && begun.elapsed() < timeout * 5, "{:?}", begun.elapsed());
    for error in [write.unwrap_err(), destroy.unwrap_err(), touch.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    // Collecting does not wait at all, and most other sessions have another lock.
    assert_eq!(provider.gc(10).await.unwrap(), 0);
    let mut stored = 0;
    for text in ["aa", "bb", "cc"] {
        let outcome = provider.write(&id(text), &record(1), Condition::Absent, DAY).await;
        stored += u32::from(outcome.is_ok());
    }
    assert!(stored >= 2, "only {stored} of 3 others could be written");

    other.signal(Signal::CONT);
    // The other one writes without a pause: on a busy machine it may take a while to come in between.
    let patient = FileProvider::builder(directory.path()).lock_timeout(Duration::from_secs(60));
    increment(&patient.connect().await.unwrap(), &shared).await;
}

/// A lock belongs to an opened file. The holder of one that was removed excludes nobody, and must find out before it writes.
#[tokio::test]
async fn the_holder_of_a_lock_file_that_was_removed_writes_over_nobody() {
    if let Some(directory) = other_process() {
        let provider = FileProvider::connect(directory).await.unwrap();
        println!("{READY}");
        let mut written = 0_u64;
        loop {
            let seen = provider.read(&id("shared"), DAY).await.unwrap().unwrap();
            // Until somebody else has written, whose value must stay.
            if value(&seen) >= 1 << 32 {
                std::process::exit(0);
            }
            written += 1;
            let more = next(&seen, written);
            match provider.write(&id("shared"), &more, Condition::Over(seen.stamp()), DAY).await {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
    }
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let builder = FileProvider::builder(directory.path()).lock_timeout(Duration::from_millis(200));
        let provider = builder.connect().await.unwrap();
        create(&provider, "shared", &record(0), DAY).await;
        let test = "the_holder_of_a_lock_file_that_was_removed_writes_over_nobody";
        let (mut other, lock) = stopped_with_a_lock(test, directory.path()).await;
        std::fs::remove_file(lock).unwrap();
        let seen = provider.read(&id("shared"), DAY).await.unwrap().unwrap();
        let ours = next(&seen, 1 << 32);
        match provider.write(&id("shared"), &ours, Condition::Over(seen.stamp()), DAY).await {
            Ok(outcome) => {
                assert!(matches!(outcome, WriteOutcome::Stored(_)));
                other.signal(Signal::CONT);
                assert!(other.0.wait().unwrap().success());
                let now = provider.read(&id("shared"), DAY).await.unwrap().unwrap();
                assert_eq!(value(&now), 1 << 32, "an acknowledged write was lost");
            }
            // It was stopped while it had claimed the session's own file, and excludes all others still.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
}

#[tokio::test]
async fn lock_files_that_somebody_removes_again_and_again_still_exclude() {
    const EACH: u64 = 150;
    if let Some(directory) = other_process() {
        let provider = FileProvider::connect(directory).await.unwrap();
        for _ in 0..EACH {
            while let Err(error) = try_increment(&provider).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let provider = FileProvider::connect(directory.path()).await.unwrap();
    create(&provider, "shared", &record(0), DAY).await;
    let test = "lock_files_that_somebody_removes_again_and_again_still_exclude";
    let mut others: Vec<_> = (0..4).map(|_| Other::start(test, directory.path())).collect();
    while others.iter_mut().any(|other| other.0.try_wait().unwrap().is_none()) {
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("/.lock-") {
                let _ = std::fs::remove_file(path);
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for other in &mut others {
        assert!(other.0.wait().unwrap().success());
    }
    assert_eq!(value(&provider.read(&id("shared"), DAY).await.unwrap().unwrap()), 4 * EACH);
}

/// One increment, or nothing.
async fn try_increment(provider: &FileProvider) -> session_core::Result<()> {
    loop {
        let seen = provider.read(&id("shared"), DAY).await?.expect("it is there");
        let more = next(&seen, value(&seen) + 1);
        let outcome = provider.write(&id("shared"), &more, Condition::Over(seen.stamp()), DAY).await?;
        if matches!(outcome, WriteOutcome::Stored(_)) {
            return Ok(());
        }
    }
}
