//! A full disk and a read-only one.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use session_core::clock::ManualClock;
use session_core::engine::Condition;
use session_core::{ErrorKind, Provider as _};
use session_sqlite::{SqliteConfig, SqliteConnectOptions, SqlitePool, SqliteProvider};
use support::*;
use tempfile::TempDir;

/// A file system of this size, for tests run by root, who may write to every file.
struct Mounted(TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = CString::new(format!("size={size},mode=0700")).unwrap();
        mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), &*options).ok()?;
        Some(Self(directory))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let mounted = Mounted::new("4m");
    let directory = tempfile::tempdir().unwrap();
    let place = mounted.as_ref().map_or(directory.path(), |mounted| mounted.0.path()).to_owned();
    let path = place.join("sessions.db");
    let provider = SqliteProvider::connect(SqliteConfig::file(&path)).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    drop(provider);
    // The driver's threads close their files asynchronously.
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let done = if mounted.is_some() {
            mount_remount(&place, MountFlags::RDONLY, c"").is_ok()
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o500)).unwrap();
            true
        };
        if done {
            break;
        }
    }
    let error = connect(&path.to_string_lossy()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("cannot be written to"), "{error}");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
}

/// A provider with little space: on a disk of 1 MB if root runs the tests, otherwise in a database
/// limited to 200 pages.
async fn with_little_space() -> (Option<Mounted>, TempDir, SqliteProvider) {
    let (mounted, directory) = (Mounted::new("1m"), tempfile::tempdir().unwrap());
    let provider = if let Some(mounted) = &mounted {
        SqliteProvider::connect(SqliteConfig::file(file(&mounted.0))).await.unwrap()
    } else {
        let options = SqliteConnectOptions::new().filename(file(&directory));
        let options = options.create_if_missing(true).pragma("max_page_count", "200");
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let provider = SqliteProvider::with_pool(pool, "session").unwrap();
        provider.migrate().await.unwrap();
        provider
    };
    (mounted, directory, provider.clock(Arc::new(ManualClock::default())))
}

#[tokio::test]
async fn a_full_disk_is_a_distinct_error_and_stored_sessions_are_kept() {
    let (_mounted, _directory, provider) = with_little_space().await;
    let mut stored = 0;
    let error = loop {
        let large = with_filling(&record(stored), 20_000);
        match provider.write(&numbered(stored), &large, Condition::Absent, MINUTE).await {
            Ok(outcome) => assert!(is_stored(&outcome)),
            Err(error) => break error,
        }
        stored += 1;
        assert!(stored < 1_000, "the disk is never full");
    };
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.message().contains("full; nothing was changed"), "{error}");
    assert!(stored > 5, "{stored}");
    for number in 0..stored {
        let found = provider.read(&numbered(number), MINUTE).await.unwrap().unwrap();
        assert_eq!(value(&found), number);
    }
    assert!(provider.read(&numbered(stored), MINUTE).await.unwrap().is_none());
    assert_eq!(provider.count().await.unwrap(), Some(stored));
}

#[tokio::test]
async fn when_the_disk_fills_up_concurrent_writes_are_stored_or_refused() {
    let (_mounted, _directory, provider) = with_little_space().await;
    let provider = Arc::new(provider);
    let (mut stored, mut refused, mut number) = (Vec::new(), Vec::new(), 0);
    // In groups of decreasing size, until not even one fits.
    for concurrent in [8, 8, 8, 8, 8, 8, 4, 4, 2, 2, 2, 2] {
        let writes: Vec<_> = (number..number + concurrent)
            .map(|number| {
                let (provider, large) = (Arc::clone(&provider), with_filling(&record(number), 20_000));
                tokio::spawn(async move {
                    provider.write(&numbered(number), &large, Condition::Absent, MINUTE).await
                })
            })
            .collect();
        for (number, write) in (number..).zip(writes) {
            match write.await.unwrap() {
                Ok(outcome) => {
                    assert!(is_stored(&outcome));
                    stored.push(number);
                }
                Err(error) => {
                    let kinds = [ErrorKind::Full, ErrorKind::Unavailable];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    refused.push((number, error.kind()));
                }
            }
        }
        number += concurrent;
    }
    assert!(refused.iter().any(|(_, kind)| *kind == ErrorKind::Full), "{refused:?}");
    for number in &stored {
        let found = provider.read(&numbered(*number), MINUTE).await.unwrap().unwrap();
        assert_eq!(value(&found), *number);
    }
    for (number, _) in refused {
        assert!(provider.read(&numbered(number), MINUTE).await.unwrap().is_none(), "{number}");
    }
    assert_eq!(provider.count().await.unwrap(), Some(stored.len() as u64));
}

/// The large one fails when its pages are written to the log, which may be at the commit.
#[tokio::test]
async fn a_write_that_does_not_fit_fails_no_other_write_of_its_group() {
    const TOO_LARGE: u64 = 3;
    let Some(mounted) = Mounted::new("6m") else { return };
    let config = SqliteConfig::file(file(&mounted.0)).busy_timeout(MINUTE);
    let provider = Arc::new(SqliteProvider::connect(config).await.unwrap());
    let other = lock(&mounted.0).await;
    let writes: Vec<_> = (0..6)
        .map(|number| {
            let filling = if number == TOO_LARGE { 8_000_000 } else { 1_000 };
            let (provider, record) = (Arc::clone(&provider), with_filling(&record(number), filling));
            tokio::spawn(async move {
                provider.write(&numbered(number), &record, Condition::Absent, MINUTE).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    unlock(other).await;
    for (number, write) in (0..).zip(writes) {
        let outcome = write.await.unwrap();
        if number == TOO_LARGE {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Full);
        } else {
            assert!(is_stored(&outcome.unwrap()), "{number}");
        }
    }
}
