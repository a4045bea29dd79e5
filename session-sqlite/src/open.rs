//! The first connection: creates the file with access for its owner only, and checks that it can be
//! used.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use session_core::{Error, Result};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};

use crate::config::{Place, SqliteConfig, Synchronous};
use crate::connections::Connections;
use crate::failure::{Effect, failed, is_busy, is_no_access, is_no_database};
use crate::{ENGINE, schema};

/// The retry interval for locks that SQLite itself does not wait for.
const RETRY: Duration = Duration::from_millis(10);

pub(crate) async fn open(config: &SqliteConfig) -> Result<Connections> {
    let options = options(config);
    match &config.place {
        Place::Memory => {
            let options = options.filename(":memory:");
            let connected = options.connect().await;
            let mut only = connected.map_err(|error| failed("connect", Effect::Read, error))?;
            schema::migrate(&mut only, &config.table).await?;
            Ok(Connections::memory(options, only, config.table.clone()))
        }
        Place::File { path, create } => {
            let refused = |why: &str| Error::config(format!("`{}` {why}", path.display())).in_engine(ENGINE);
            let (given, create) = (path.clone(), *create);
            let prepared = tokio::task::spawn_blocking(move || prepare(&given, create)).await;
            let absolute = match prepared {
                Ok(Ok(absolute)) => absolute,
                Ok(Err((why, error))) => return Err(refused(why).with_source(error)),
                Err(_) => return Err(refused("cannot be opened: the runtime is shutting down")),
            };
            let options = options.filename(absolute);
            let unusable = |error| {
                if is_no_database(&error) {
                    return refused("is not an SQLite database, or is encrypted: choose another file")
                        .with_source(error);
                }
                if !is_no_access(&error) {
                    return failed("connect", Effect::Read, error);
                }
                refused(
                    "cannot be written to: give it and its directory, where SQLite creates two more files, \
                    to the user that this service runs as",
                )
                .with_source(error)
            };
            let mut first = first(&options, config.busy_timeout).await.map_err(unusable)?;
            if !is_wal(&mut first).await.map_err(unusable)? {
                return Err(refused(
                    "is on a file system that cannot share memory between processes: choose a local one",
                ));
            }
            write(&mut first).await.map_err(unusable)?;
            if config.migrate {
                schema::migrate(&mut first, &config.table).await?;
            }
            schema::check(&mut first, &config.table).await?;
            Connections::file(options, first, config).await
        }
    }
}

/// The options of every connection.
fn options(config: &SqliteConfig) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .busy_timeout(config.busy_timeout)
        .thread_name(|number| format!("session-sqlite-{number}"))
        .disable_statement_logging();
    let options = match config.synchronous {
        Synchronous::Normal => options.synchronous(SqliteSynchronous::Normal),
        // `fullfsync` is for macOS, whose `fsync` does not wait for the disk.
        Synchronous::Full => options.synchronous(SqliteSynchronous::Full).pragma("fullfsync", "ON"),
    };
    if config.auto_checkpoint { options } else { options.pragma("wal_autocheckpoint", "0") }
}

/// Creates a missing file with mode 0600; SQLite gives its additional files the same mode.
///
/// An existing file is only checked and never opened here: when any descriptor of a file is closed,
/// the system drops all locks of this process on it, even those of other connections.
fn prepare(path: &Path, create: bool) -> std::result::Result<PathBuf, (&'static str, io::Error)> {
    // Later connections must not depend on the current directory at that time.
    let absolute = std::path::absolute(path).map_err(|error| ("is not a path", error))?;
    // In such a directory other users could create a log that SQLite would read.
    let directory = absolute.parent().and_then(|directory| directory.metadata().ok());
    if directory.is_some_and(|directory| is_open_to_all(&directory)) {
        return Err((
            "is in a directory where every user of this machine may create files and so plant sessions: \
            choose a directory that only the user of this service may write to",
            io::Error::from(io::ErrorKind::PermissionDenied),
        ));
    }
    match std::fs::metadata(&absolute) {
        Ok(metadata) if !metadata.is_file() => Err((
            "is not a file: give the file, not its directory",
            io::Error::from(io::ErrorKind::InvalidInput),
        )),
        Ok(metadata) if is_open_to_all(&metadata) => Err((
            "is world-writable, so any user of this machine could plant sessions in it: `chmod 600` it",
            io::Error::from(io::ErrorKind::PermissionDenied),
        )),
        Ok(_) => Ok(absolute),
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => match new_file(&absolute) {
            // Another process has just created it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(absolute),
            Err(error) => Err((
                "does not exist and cannot be created: create its directory, owned by the user that \
                 this service runs as",
                error,
            )),
            Ok(()) => Ok(absolute),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(("does not exist", error)),
        Err(error) => Err(("cannot be examined", error)),
    }
}

fn new_file(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(unix)]
fn is_open_to_all(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn is_open_to_all(_: &std::fs::Metadata) -> bool {
    false
}

/// Connects, and applies the settings stored in the file.
async fn first(options: &SqliteConnectOptions, patience: Duration) -> sqlx::Result<SqliteConnection> {
    // `auto_vacuum` takes effect only in a new file. The change to WAL needs exclusive access for a
    // moment, for which SQLite does not wait: another process may be doing the same at the same
    // time.
    let options =
        options.clone().auto_vacuum(SqliteAutoVacuum::Incremental).journal_mode(SqliteJournalMode::Wal);
    let begun = Instant::now();
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_busy(&error) && begun.elapsed() < patience => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error),
        }
    }
}

async fn is_wal(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection).await?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// Checks that the file can be written to, since SQLite opens a read-only one without an error. If
/// the caller is dropped, the connection is closed, so no transaction stays open.
async fn write(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    match sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK").execute(connection).await {
        // Another process is writing, so it is writable.
        Err(error) if is_busy(&error) => Ok(()),
        done => done.map(drop),
    }
}
