//! What lies in the directory, with which modes, and what is left alone there.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use common::{DAY, MINUTE, create, id, next, on_clock, path, record, store, tombstone, value};
use rustix::fs::{FlockOperation, flock};
use session_core::clock::Clock as _;
use session_core::engine::{Condition, DestroyOutcome, Durability, TOMBSTONE_TTL, WriteOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider as _};
use session_file::FileProvider;

const SEED: &str = "xsnkjklkjjkh27hjh78908";

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Everything below a directory, sorted, the locks left out.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else if !entry.file_name().to_string_lossy().starts_with(".lock-") {
                found.push(path.strip_prefix(directory).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_session_lies_where_the_seeds_say_in_files_that_only_its_owner_can_read() {
    let (provider, _, directory) = store().await;
    create(&provider, SEED, &record(7), MINUTE).await;
    assert_eq!(files(directory.path()), [format!("x/s/{SEED}")]);
    assert_eq!(mode(&path(directory.path(), SEED)), 0o600);
    assert_eq!((mode(&directory.path().join("x")), mode(&directory.path().join("x/s"))), (0o700, 0o700));

    let hashed = StorageId::from_hash([0xc3; 32]);
    provider.write(&hashed, &record(1), Condition::Absent, MINUTE).await.unwrap();
    assert!(directory.path().join("c/3").join(hashed.to_text()).is_file());
    assert_eq!(provider.count().await.unwrap(), Some(2));
}

#[tokio::test]
async fn ids_whose_first_characters_make_no_directory_have_a_place_as_well() {
    let (provider, _, directory) = store().await;
    for text in ["x", "x.", "x..", "-.a"] {
        create(&provider, text, &record(7), MINUTE).await;
        assert_eq!(value(&provider.read(&id(text), MINUTE).await.unwrap().unwrap()), 7);
    }
    assert_eq!(files(directory.path()), ["-/_/-.a", "x/_/x", "x/_/x.", "x/_/x.."]);
    assert_eq!(provider.count().await.unwrap(), Some(4));
}

#[tokio::test]
async fn ids_that_are_longer_than_a_file_name_are_told_apart_counted_and_collected() {
    let (provider, clock, directory) = store().await;
    let long = "xs".repeat(200);
    for (text, number) in [(format!("{long}a"), 1), (format!("{long}b"), 2)] {
        create(&provider, &text, &record(number), MINUTE).await;
        assert_eq!(value(&provider.read(&id(&text), MINUTE).await.unwrap().unwrap()), number);
    }
    assert!(files(directory.path()).iter().all(|file| file.starts_with("x/s/xs~")));
    assert_eq!(provider.count().await.unwrap(), Some(2));
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 2);
}

#[tokio::test]
async fn a_touch_moves_the_deadline_in_place_and_not_beyond_the_absolute_one() {
    let (provider, clock, directory) = store().await;
    let first = record(7);
    create(&provider, SEED, &first, MINUTE).await;
    let before = fs::read(path(directory.path(), SEED)).unwrap();
    clock.advance(MINUTE / 2);
    assert!(provider.touch(&id(SEED), &first, MINUTE).await.unwrap());
    let after = fs::read(path(directory.path(), SEED)).unwrap();
    assert_eq!((&before[..32], &before[40..]), (&after[..32], &after[40..]));
    assert_eq!(after[32..40], clock.now().after(MINUTE).as_millis().to_be_bytes());

    provider.touch(&id(SEED), &first, DAY * 9).await.unwrap();
    let read = provider.read(&id(SEED), MINUTE).await.unwrap().unwrap();
    assert_eq!(read.header.deadline, first.header.absolute);
    assert_eq!(read.stamp(), first.stamp());

    clock.advance(DAY);
    assert!(!provider.touch(&id(SEED), &first, MINUTE).await.unwrap(), "expired sessions are not revived");
    assert!(!provider.touch(&id("absent"), &first, MINUTE).await.unwrap());
}

#[tokio::test]
async fn a_reading_slides_nothing() {
    let (provider, clock, _directory) = store().await;
    create(&provider, SEED, &record(7), MINUTE).await;
    provider.read(&id(SEED), DAY).await.unwrap();
    clock.advance(MINUTE);
    assert!(provider.read(&id(SEED), DAY).await.unwrap().is_none());
    assert!(!provider.exists(&id(SEED)).await.unwrap());
}

#[tokio::test]
async fn a_tombstone_shows_the_way_is_not_counted_and_is_collected() {
    let (provider, clock, directory) = store().await;
    let first = record(7);
    create(&provider, SEED, &first, MINUTE).await;
    let target = StorageId::from_hash([1; 32]);
    let grave = tombstone(&first, &target, clock.now().after(TOMBSTONE_TTL));
    provider.write(&id(SEED), &grave, Condition::Over(first.stamp()), TOMBSTONE_TTL).await.unwrap();
    assert!(
        matches!(provider.destroy(&id(SEED), None).await.unwrap(), DestroyOutcome::Moved(to) if to == target)
    );
    assert!(!provider.touch(&id(SEED), &grave, DAY).await.unwrap());
    assert_eq!((provider.count().await.unwrap(), provider.gc(10).await.unwrap()), (Some(0), 0));
    clock.advance(TOMBSTONE_TTL);
    assert_eq!(provider.gc(10).await.unwrap(), 1);
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_collection_goes_on_where_the_last_one_stopped_and_misses_nothing() {
    let (provider, clock, directory) = store().await;
    for number in 0..60 {
        let idle = if number % 3 == 0 { DAY } else { MINUTE };
        create(&provider, &format!("s{number:02}"), &record(number), idle).await;
    }
    clock.advance(MINUTE);
    assert_eq!(provider.gc(15).await.unwrap(), 15);
    // Expired behind the place where the collection stopped.
    create(&provider, "A-first", &record(1), MINUTE).await;
    clock.advance(MINUTE);
    assert_eq!(provider.gc(15).await.unwrap(), 15);
    assert_eq!(provider.gc(15).await.unwrap(), 11);
    assert_eq!(provider.gc(15).await.unwrap(), 0);
    assert_eq!((provider.count().await.unwrap(), files(directory.path()).len()), (Some(20), 20));
}

#[tokio::test]
async fn a_collection_does_not_wait_for_who_is_writing() {
    let (provider, clock, directory) = store().await;
    create(&provider, SEED, &record(7), MINUTE).await;
    clock.advance(MINUTE);
    let locks: Vec<_> = (0..=255)
        .map(|lock| fs::File::create(directory.path().join(format!(".lock-{lock:02x}"))).unwrap())
        .inspect(|file| flock(file, FlockOperation::NonBlockingLockExclusive).unwrap())
        .collect();
    assert_eq!(provider.gc(10).await.unwrap(), 0);
    drop(locks);
    assert_eq!(provider.gc(10).await.unwrap(), 1);
}

#[tokio::test]
async fn what_the_engine_did_not_write_is_neither_counted_nor_removed() {
    let (provider, clock, directory) = store().await;
    create(&provider, SEED, &record(7), MINUTE).await;
    let at = |path: &str| directory.path().join(path);
    let session = fs::read(path(directory.path(), SEED)).unwrap();
    for foreign in ["long/er", "x/sy", "q/r", ".hidden/a", "a/b"] {
        fs::create_dir_all(at(foreign)).unwrap();
    }
    // Valid names with other contents; valid contents under other names, in other places, or behind a link.
    fs::write(at("x/s/xs-notes"), "SS").unwrap();
    for place in [
        "x/s/ab",
        "q/r/ab",
        "x/xsnk",
        "xsnk",
        "x/s/xs~",
        "x/s/.xs",
        "long/er/loop",
        "x/sy/xsy",
        ".hidden/a/ab",
    ] {
        fs::write(at(place), &session).unwrap();
    }
    symlink(at("q/r/ab"), at("x/s/xslink")).unwrap();
    symlink(at("long"), at("l")).unwrap();
    symlink(at("x"), at("y")).unwrap();
    let mut expected = files(directory.path());
    assert_eq!(provider.count().await.unwrap(), Some(1));
    clock.advance(DAY);
    assert_eq!(provider.gc(100).await.unwrap(), 1);
    expected.retain(|path| *path != format!("x/s/{SEED}"));
    assert_eq!(files(directory.path()), expected);
}

#[tokio::test]
async fn no_symbolic_link_is_followed_out_of_the_directory() {
    let (provider, _, directory) = store().await;
    let outside = tempfile::tempdir().unwrap();
    create(&provider, SEED, &record(7), MINUTE).await;
    let planted = outside.path().join("s").join(SEED);
    fs::create_dir(outside.path().join("s")).unwrap();
    fs::rename(path(directory.path(), SEED), &planted).unwrap();
    let before = fs::read(&planted).unwrap();

    // The file itself is a link.
    symlink(&planted, path(directory.path(), SEED)).unwrap();
    let error = provider.read(&id(SEED), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!provider.exists(&id(SEED)).await.unwrap());
    let over = Condition::Over(record(7).stamp());
    assert_eq!(
        provider.write(&id(SEED), &record(8), over, MINUTE).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert!(provider.touch(&id(SEED), &record(7), DAY).await.is_err());
    assert!(matches!(provider.destroy(&id(SEED), None).await.unwrap(), DestroyOutcome::Destroyed));
    assert!(!path(directory.path(), SEED).exists());

    // One of the directories is a link: second level, then first.
    for level in ["x/s", "x"] {
        fs::remove_dir_all(directory.path().join(level)).unwrap();
        let target = if level == "x" { outside.path().to_owned() } else { outside.path().join("s") };
        symlink(target, directory.path().join(level)).unwrap();
        for error in [
            provider.read(&id(SEED), MINUTE).await.unwrap_err(),
            provider.write(&id(SEED), &record(8), Condition::Absent, MINUTE).await.unwrap_err(),
            provider.destroy(&id(SEED), None).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
        assert_eq!(provider.count().await.unwrap(), Some(0));
        fs::remove_file(directory.path().join(level)).unwrap();
        fs::create_dir_all(directory.path().join("x")).unwrap();
    }

    // What is written goes where the temporary file is, even if a link was planted in its place.
    fs::create_dir_all(directory.path().join("x/s")).unwrap();
    symlink(&planted, directory.path().join(format!("x/s/.{SEED}.tmp"))).unwrap();
    create(&provider, SEED, &record(9), MINUTE).await;
    assert_eq!(fs::read(&planted).unwrap(), before, "nothing outside was touched");
}

#[tokio::test]
async fn with_sync_the_same_sessions_are_kept_and_the_engine_says_so() {
    let (provider, clock, directory) = store().await;
    assert_eq!(provider.capabilities().durability, Durability::Crash);
    let synced = on_clock(FileProvider::builder(directory.path()).sync(true), &clock).await;
    assert_eq!(synced.capabilities().durability, Durability::Disk);
    let first = record(7);
    create(&synced, SEED, &first, MINUTE).await;
    let over = Condition::Over(first.stamp());
    let outcome = provider.write(&id(SEED), &next(&first, 8), over, MINUTE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)));
    assert_eq!(value(&synced.read(&id(SEED), MINUTE).await.unwrap().unwrap()), 8);
    assert!(matches!(synced.destroy(&id(SEED), None).await.unwrap(), DestroyOutcome::Destroyed));
}
