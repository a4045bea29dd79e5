//! A disk without space, and one without inodes: nothing is lost, users can log out, and the error says what is wrong.
//!
//! Each test starts itself again in a mount namespace of its own (`unshare`, as root or as a user who may make user
//! namespaces) and mounts a small tmpfs there, which ends with it. Where the system permits neither, it says so and ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failure fails the test")]

mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DAY, create, id, next, on_clock, record, value};
use session_core::clock::ManualClock;
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::record::{Record, Value};
use session_core::{ErrorKind, Provider as _};
use session_file::FileProvider;

const DIRECTORY: &str = "SESSION_FILE_SMALL_DISK";

/// The directory of a small disk, in the process that has mounted it. `None` in the one that has started that process.
fn small_disk(test: &str, options: &str) -> Option<PathBuf> {
    if let Some(directory) = env::var_os(DIRECTORY) {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&directory).status();
        assert!(mount.unwrap().success(), "cannot mount");
        return Some(directory.into());
    }
    let directory = tempfile::tempdir().unwrap();
    let namespaces: &[&str] =
        if rustix::process::geteuid().is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let permitted = Command::new("unshare")
        .args(namespaces)
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(directory.path())
        .output();
    if !permitted.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("not run: this process may not mount a tmpfs ({permitted:?})");
        return None;
    }
    let run = Command::new("unshare")
        .args(namespaces)
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    assert!(out.contains("1 passed"), "it ran: {out}");
    None
}

fn with_filling(mut record: Record, bytes: usize) -> Record {
    record.body.insert("filling", Value::encode(&"x".repeat(bytes)).unwrap());
    record
}

/// Creates sessions of this size until there is no room, and says how many there are.
async fn fill(provider: &FileProvider, bytes: usize) -> u64 {
    for number in 0.. {
        let session = with_filling(record(number), bytes);
        match provider.write(&id(&format!("xs-{number}")), &session, Condition::Absent, DAY).await {
            Ok(outcome) => assert!(matches!(outcome, WriteOutcome::Stored(_))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(error.message().contains("no space or no inodes"), "{error}");
                return number;
            }
        }
    }
    unreachable!()
}

async fn assert_all_there(provider: &FileProvider, sessions: std::ops::Range<u64>) {
    for number in sessions {
        let read = provider.read(&id(&format!("xs-{number}")), DAY).await.unwrap().unwrap();
        assert_eq!(value(&read), number);
    }
}

fn temporary_files(directory: &Path) -> usize {
    let leaf = std::fs::read_dir(directory.join("x/s")).unwrap();
    leaf.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count()
}

async fn shows_that_nothing_is_lost(directory: &Path, bytes: usize) {
    let clock = ManualClock::default();
    let provider = on_clock(FileProvider::builder(directory), &clock).await;
    let stored = fill(&provider, bytes).await;
    assert!(stored > 10, "only {stored}");
    assert_all_there(&provider, 0..stored).await;
    assert_eq!((provider.count().await.unwrap(), temporary_files(directory)), (Some(stored), 0));

    // A write that finds no room leaves the old record, and a slide needs none.
    let first = provider.read(&id("xs-0"), DAY).await.unwrap().unwrap();
    let larger = with_filling(next(&first, 99), bytes.max(4_096) * 3);
    let over = Condition::Over(first.stamp());
    let error = provider.write(&id("xs-0"), &larger, over, DAY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(provider.touch(&id("xs-0"), &first, DAY).await.unwrap());
    assert_all_there(&provider, 0..stored).await;
    // One that has no directory yet finds none either.
    let error = provider.write(&id("zz"), &with_filling(record(1), bytes), Condition::Absent, DAY).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Full);
    let another = FileProvider::connect(directory).await;
    assert!(another.map_or_else(|error| error.kind() == ErrorKind::Full, |_| true));

    // Logouts work, and make room.
    for number in 0..5 {
        let ended = provider.destroy(&id(&format!("xs-{number}")), None).await.unwrap();
        assert!(matches!(ended, DestroyOutcome::Destroyed));
    }
    create(&provider, "xs-again", &with_filling(record(1), bytes), DAY).await;
    assert_all_there(&provider, 5..stored).await;
    // Collecting makes room, too.
    clock.advance(DAY);
    assert_eq!(provider.gc(10_000).await.unwrap(), usize::try_from(stored - 5 + 1).unwrap());
    let mut tomorrow = with_filling(record(1), bytes);
    tomorrow.header.absolute = tomorrow.header.absolute.after(DAY);
    create(&provider, "xs-tomorrow", &tomorrow, DAY).await;
}

#[tokio::test]
async fn on_a_disk_without_space_nothing_is_lost_and_logouts_work() {
    let test = "on_a_disk_without_space_nothing_is_lost_and_logouts_work";
    if let Some(directory) = small_disk(test, "size=512k,mode=700") {
        shows_that_nothing_is_lost(&directory, 9_000).await;
    }
}

#[tokio::test]
async fn on_a_disk_without_inodes_nothing_is_lost_and_logouts_work() {
    let test = "on_a_disk_without_inodes_nothing_is_lost_and_logouts_work";
    // Of which the locks take 256.
    if let Some(directory) = small_disk(test, "size=4m,nr_inodes=320,mode=700") {
        shows_that_nothing_is_lost(&directory, 10).await;
    }
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_is_an_error_that_says_so() {
    let test = "a_disk_that_is_full_from_the_start_is_an_error_that_says_so";
    if let Some(directory) = small_disk(test, "size=1m,nr_inodes=100,mode=700") {
        let error = FileProvider::connect(&directory).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(error.message().contains("inodes"), "{error}");
    }
}
