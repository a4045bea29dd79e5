//! The file: who may read it, and files that cannot be used, each an error that says what to change.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use session_core::{ConnectOptions, Durability, Error, ErrorKind, Provider as _, TimeSource};
use session_sqlite::{SqliteConfig, SqliteProvider};
use support::*;

async fn refused(config: impl std::fmt::Display) -> Error {
    let error = connect(&config.to_string()).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some("sqlite")), "{error}");
    error
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_file_and_those_beside_it_are_for_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let provider = connect(&format!("sqlite:{}", file(&directory).display())).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        assert_eq!(mode(&directory.path().join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_there_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(&directory), "").unwrap();
    fs::set_permissions(file(&directory), Permissions::from_mode(0o640)).unwrap();
    let provider = connect(&file(&directory).to_string_lossy()).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    assert_eq!(mode(&file(&directory)), 0o640);
    assert_eq!(mode(&directory.path().join("sessions.db-wal")), 0o640);
}

#[tokio::test]
async fn a_file_that_everybody_can_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(&directory), "").unwrap();
    fs::set_permissions(file(&directory), Permissions::from_mode(0o666)).unwrap();
    assert!(refused(file(&directory).display()).await.message().contains("chmod 600"));
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused_under_the_name_that_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let error = refused(directory.path().display()).await;
    assert!(error.message().contains("is no file"), "{error}");
    let error = refused("./no-such-directory/sessions.db").await;
    assert!(error.message().contains("`./no-such-directory/sessions.db` does not exist"), "{error}");
    let here = std::env::current_dir().unwrap();
    assert!(!error.to_string().contains(&*here.to_string_lossy()), "{error}");
    let error = refused("sqlite:./no-such-file.db?mode=rw").await;
    assert!(error.message().contains("does not exist"), "{error}");
    assert!(!Path::new("./no-such-file.db").exists());
}

/// SQLite would create what it leads to, with the usual mode.
#[tokio::test]
async fn a_link_that_leads_nowhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    symlink(directory.path().join("elsewhere.db"), file(&directory)).unwrap();
    connect(&file(&directory).to_string_lossy()).await.unwrap_err();
    assert!(!directory.path().join("elsewhere.db").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = "not a database. ".repeat(1_000);
    fs::write(file(&directory), &text).unwrap();
    assert!(refused(file(&directory).display()).await.message().contains("no SQLite database"));
    assert_eq!(fs::read_to_string(file(&directory)).unwrap(), text);
}

#[tokio::test]
async fn without_the_table_the_error_says_what_to_run() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", file(&directory).display());
    let error = refused(format!("{url}?migrate=false")).await;
    assert!(error.message().contains("there is no table session"), "{error}");
    assert!(error.message().contains("migrations/sqlite"), "{error}");
    sql(&file(&directory), "CREATE TABLE session (session_key TEXT PRIMARY KEY, session_expiry TEXT)").await;
    let error = refused(format!("{url}?migrate=false")).await;
    assert!(error.message().contains("no column session_data"), "{error}");
    connect(&format!("{url}?table=web_session")).await.unwrap();
    connect(&format!("{url}?table=web_session&migrate=false")).await.unwrap();
}

#[tokio::test]
async fn a_table_that_goes_away_is_an_error_that_says_what_to_run() {
    let (provider, _, directory) = store().await;
    sql(&file(&directory), "DROP TABLE session").await;
    let error = provider.read(&id("a"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("SqliteProvider::migrate()"), "{error}");
    provider.migrate().await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
}

#[tokio::test]
async fn by_name_it_is_connected_on_the_clock_that_was_given() {
    let clock = session_core::ManualClock::default();
    let options = ConnectOptions::new("sqlite::memory:").clock(std::sync::Arc::new(clock.clone()));
    let provider = session_core::connect("sqlite", options).await.unwrap();
    let written = provider.write(&id("a"), &record(1), session_core::Condition::Absent, MINUTE).await;
    assert!(is_stored(&written.unwrap()));
    clock.advance(MINUTE);
    assert!(provider.read(&id("a"), MINUTE).await.unwrap().is_none());
    let error = session_core::connect("sqlite", ConnectOptions::new("")).await.unwrap_err();
    assert!(error.message().contains("sqlite:./sessions.db"), "{error}");
}

#[tokio::test]
async fn what_survives_is_declared() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    for (config, durability) in [
        (SqliteConfig::memory(), Durability::Process),
        (SqliteConfig::file(&path), Durability::Crash),
        (SqliteConfig::file(&path).synchronous(session_sqlite::Synchronous::Full), Durability::Disk),
    ] {
        let capabilities = SqliteProvider::connect(config).await.unwrap().capabilities();
        assert_eq!((capabilities.durability, capabilities.time_source), (durability, TimeSource::Core));
    }
}

/// A file system of this size for the tests of root, who may write to every file.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(format!("size={size},mode=0700")).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", directory.path(), "tmpfs", flags, &*options).ok()?;
        Some(Self(directory))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    let mounted = Mounted::new("4m");
    let directory = tempfile::tempdir().unwrap();
    let place = mounted.as_ref().map_or(directory.path(), |mounted| mounted.0.path()).to_owned();
    let path = place.join("sessions.db");
    let provider = SqliteProvider::connect(SqliteConfig::file(&path)).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    drop(provider);
    // The driver's threads close their files by themselves.
    for _ in 0..500 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let done = match &mounted {
            Some(_) => {
                let flags = rustix::mount::MountFlags::RDONLY;
                rustix::mount::mount_remount(&place, flags, c"").is_ok()
            }
            None => {
                fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
                fs::set_permissions(&place, Permissions::from_mode(0o500)).unwrap();
                true
            }
        };
        if done {
            break;
        }
    }
    let error = refused(path.display()).await;
    assert!(error.message().contains("cannot be written to"), "{error}");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
}

/// On a disk of 1 MB where root runs the tests, else in a database that may have 200 pages.
#[tokio::test]
async fn a_full_disk_is_an_error_of_its_own_and_what_was_stored_stays() {
    let mounted = Mounted::new("1m");
    let (directory, clock) = (tempfile::tempdir().unwrap(), session_core::ManualClock::default());
    let provider = if let Some(mounted) = &mounted {
        SqliteProvider::connect(SqliteConfig::file(file(&mounted.0))).await.unwrap()
    } else {
        let options = session_sqlite::SqliteConnectOptions::new().filename(file(&directory));
        let options = options.create_if_missing(true).pragma("max_page_count", "200");
        let pool = session_sqlite::SqlitePool::connect_with(options).await.unwrap();
        let provider = SqliteProvider::with_pool(pool, "session").unwrap();
        provider.migrate().await.unwrap();
        provider
    };
    let provider = provider.clock(std::sync::Arc::new(clock.clone()));
    let mut stored = 0;
    let error = loop {
        let large = with_filling(&record(stored), 20_000);
        match provider.write(&numbered(stored), &large, session_core::Condition::Absent, MINUTE).await {
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
