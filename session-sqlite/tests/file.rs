//! The file: its mode, and unusable files, each an error that says what to change.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use session_core::engine::{Durability, TimeSource};
use session_core::{ConnectOptions, Error, ErrorKind, Provider as _};
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
async fn the_file_and_its_log_are_readable_by_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let provider = connect(&format!("sqlite:{}", file(&directory).display())).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        assert_eq!(mode(&directory.path().join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn an_existing_file_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(&directory), "").unwrap();
    fs::set_permissions(file(&directory), Permissions::from_mode(0o640)).unwrap();
    let provider = connect(&file(&directory).to_string_lossy()).await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
    assert_eq!(mode(&file(&directory)), 0o640);
    assert_eq!(mode(&directory.path().join("sessions.db-wal")), 0o640);
}

#[tokio::test]
async fn a_world_writable_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(file(&directory), "").unwrap();
    fs::set_permissions(file(&directory), Permissions::from_mode(0o666)).unwrap();
    assert!(refused(file(&directory).display()).await.message().contains("chmod 600"));
}

#[tokio::test]
async fn a_world_writable_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    assert!(refused(file(&directory).display()).await.message().contains("choose a directory"));
    assert!(!file(&directory).exists());
}

#[tokio::test]
async fn an_impossible_path_is_refused_under_its_configured_name() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(file(&directory)).unwrap();
    let error = refused(file(&directory).display()).await;
    assert!(error.message().contains("is not a file"), "{error}");
    let error = refused("./no-such-directory/sessions.db").await;
    assert!(error.message().contains("`./no-such-directory/sessions.db` does not exist"), "{error}");
    let here = std::env::current_dir().unwrap();
    assert!(!error.to_string().contains(&*here.to_string_lossy()), "{error}");
    let error = refused("sqlite:./no-such-file.db?mode=rw").await;
    assert!(error.message().contains("does not exist"), "{error}");
    assert!(!Path::new("./no-such-file.db").exists());
}

/// SQLite would create its target with the default mode.
#[tokio::test]
async fn a_dangling_link_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    symlink(directory.path().join("elsewhere.db"), file(&directory)).unwrap();
    connect(&file(&directory).to_string_lossy()).await.unwrap_err();
    assert!(!directory.path().join("elsewhere.db").exists());
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = "not a database. ".repeat(1_000);
    fs::write(file(&directory), &text).unwrap();
    let error = refused(file(&directory).display()).await;
    assert!(error.message().contains("sessions.db` is not an SQLite database"), "{error}");
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
async fn a_table_that_disappears_is_an_error_that_says_what_to_run() {
    let (provider, _, directory) = store().await;
    sql(&file(&directory), "DROP TABLE session").await;
    let error = provider.read(&id("a"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("SqliteProvider::migrate()"), "{error}");
    provider.migrate().await.unwrap();
    create(&provider, &id("a"), &record(1), MINUTE).await;
}

#[tokio::test]
async fn an_engine_by_name_uses_the_given_clock() {
    let clock = session_core::clock::ManualClock::default();
    let options = ConnectOptions::new("sqlite::memory:").clock(std::sync::Arc::new(clock.clone()));
    let provider = session_core::connect("sqlite", options).await.unwrap();
    let written = provider.write(&id("a"), &record(1), session_core::engine::Condition::Absent, MINUTE).await;
    assert!(is_stored(&written.unwrap()));
    clock.advance(MINUTE);
    assert!(provider.read(&id("a"), MINUTE).await.unwrap().is_none());
    let error = session_core::connect("sqlite", ConnectOptions::new("")).await.unwrap_err();
    assert!(error.message().contains("sqlite:./sessions.db"), "{error}");
}

#[tokio::test]
async fn durability_is_declared() {
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

/// A table that is renamed keeps the names of its indexes.
#[tokio::test]
async fn an_index_that_another_table_has_under_its_name_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", file(&directory).display());
    drop(connect(&url).await.unwrap());
    sql(&file(&directory), "ALTER TABLE session RENAME TO session_of_yesterday").await;
    assert!(refused(&url).await.message().contains("session_by_"));
    sql(&file(&directory), "DROP INDEX session_by_ending; DROP INDEX session_by_user").await;
    connect(&url).await.unwrap().check().await.unwrap();
}
