//! Requests on the engines that need no server.

#![allow(clippy::unnecessary_wraps, reason = "groups that start servers may fail, and all have one type")]

use std::path::Path;

use ::tower_sessions::MemoryStore;
use axum_session_sqlx::SessionSqlitePool;
use session_cookie::CookieProvider;
use session_core::Secret;
use session_file::FileProvider;
use session_memory::MemoryProvider;
use session_sqlite::{SqliteConfig, SqliteProvider, Synchronous};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tower_sessions_sqlx_store::{SqliteStore, sqlx as older_sqlx};

use crate::measure::{Effort, Role, Subject};
use crate::peers::{self, axum_session, raw};
use crate::report::{Row, Section};
use crate::rows::servers::{CONNECTIONS, usual};
use crate::thread::Thread;
use crate::work::{Job, Work};

/// All subjects with sessions in the process.
pub fn in_memory(thread: &Thread, job: Job) -> Vec<Subject> {
    vec![
        peers::floor(thread, job),
        peers::ours(thread, MemoryProvider::new(), job),
        peers::with_tower_sessions(thread, MemoryStore::default(), job),
        peers::with_axum_session(thread, thread.block_on(axum_session::in_memory(job.shape)), job),
    ]
}

/// A request that does not use its session.
pub fn untouched(effort: Effort) -> std::io::Result<Vec<Section>> {
    let (thread, job) = (Thread::new(), Job::of(Work::Untouched));
    let rows = vec![Row::measured("untouched", in_memory(&thread, job), effort)];
    Ok(vec![Section::of_rows("untouched", "Requests that do not use their session", rows)])
}

/// Sessions in this process.
pub fn memory(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let rows = Work::USUAL.map(|work| {
        let job = Job::of(work);
        let mut subjects = in_memory(&thread, job);
        subjects.push(raw::map::subject(job));
        Row::measured(&job.title("memory"), subjects, effort)
    });
    Ok(vec![Section::of_rows("memory", "Memory", rows.into())])
}

/// The engine that seals sessions into cookies.
pub fn sealing() -> CookieProvider {
    let key = Secret::new("a key of 32 bytes or more, for measuring only");
    CookieProvider::builder().key(key).build().expect("a provider")
}

/// Sessions in cookies. The peer with sessions in cookies is measured in its own web framework:
/// group `actix`.
pub fn cookie(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let rows = Work::USUAL.map(|work| {
        let job = Job::of(work).in_cookie();
        let subjects = vec![peers::floor(&thread, job), peers::ours(&thread, sealing(), job)];
        Row::measured(&job.title("cookie"), subjects, effort)
    });
    let note = "The peer with sessions in cookies is compared under actix-web.";
    Ok(vec![Section::of_rows("cookie", "Cookie", rows.into()).note(note.into())])
}

/// Sessions in files.
pub fn file(effort: Effort) -> std::io::Result<Vec<Section>> {
    let thread = Thread::new();
    let directory = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for work in Work::USUAL {
        let job = Job::of(work);
        let place = directory.path().join(work.name());
        let provider = thread.block_on(FileProvider::connect(place)).expect("a provider");
        let raw_place = directory.path().join(format!("raw-{}", work.name()));
        std::fs::create_dir(&raw_place)?;
        let subjects = vec![
            peers::floor(&thread, job),
            peers::ours(&thread, provider, job),
            raw::file::subject(&thread, raw_place, job),
        ];
        rows.push(Row::measured(&job.title("file"), subjects, effort));
    }
    Ok(vec![Section::of_rows("file", "File", rows)])
}

/// Sessions in SQLite, each subject in its own file and in WAL mode.
pub fn sqlite(effort: Effort) -> std::io::Result<Vec<Section>> {
    let directory = tempfile::tempdir()?;
    let subjects = |name, synchronous, thread: &Thread, job: Job| {
        let place = directory.path().join(job.title(name));
        std::fs::create_dir(&place).expect("a directory");
        on_sqlite(thread, &place, synchronous, job)
    };
    let mut rows =
        usual("sqlite", effort, |thread, job| subjects("sqlite", Synchronous::Normal, thread, job));
    let (name, thread) = ("sqlite synchronous=full", Thread::new());
    let job = Job::of(Work::Create).clients(16);
    let on_disk = subjects(name, Synchronous::Full, &thread, job);
    rows.push(Row::measured(&job.title(name), on_disk, effort));
    let version = Thread::new().block_on(async {
        let pool = SqlitePoolOptions::new().connect("sqlite::memory:").await?;
        sqlx::query_scalar::<_, String>("SELECT sqlite_version()").fetch_one(&pool).await
    });
    let version = version.map_err(std::io::Error::other)?;
    let note = format!(
        "SQLite {version} in WAL mode, with `synchronous = NORMAL`, so that no write waits for the disk, \
        except in the last row, where each does. Only one connection can write at a time: the clients of the raw driver share one for writes and \
        have one each for reads. With 16 clients, tower-sessions is measured with a pool of \
         {CONNECTIONS} connections and with a single one; axum_session has a single one."
    );
    Ok(vec![Section::of_rows("sqlite", "SQLite", rows).note(note)])
}

/// All subjects with sessions in SQLite.
fn on_sqlite(thread: &Thread, place: &Path, synchronous: Synchronous, job: Job) -> Vec<Subject> {
    let (theirs, older, dialect) = match synchronous {
        Synchronous::Normal => {
            (SqliteSynchronous::Normal, older_sqlx::sqlite::SqliteSynchronous::Normal, raw::sql::SQLITE)
        }
        Synchronous::Full => {
            (SqliteSynchronous::Full, older_sqlx::sqlite::SqliteSynchronous::Full, raw::sql::SQLITE_FULL)
        }
    };
    let tower_sessions = |file: &str, connections| {
        let options = older_sqlx::sqlite::SqliteConnectOptions::new()
            .filename(place.join(file))
            .create_if_missing(true)
            .journal_mode(older_sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(older);
        let pool = older_sqlx::sqlite::SqlitePoolOptions::new().max_connections(connections);
        let pool = pool.test_before_acquire(false);
        thread.block_on(async {
            let store = SqliteStore::new(pool.connect_with(options).await.expect("connected"));
            store.migrate().await.expect("a table");
            store
        })
    };
    let (ours, axum_session) = thread.block_on(async {
        let ours =
            SqliteProvider::connect(SqliteConfig::file(place.join("ours.db")).synchronous(synchronous)).await;
        let options = SqliteConnectOptions::new()
            .filename(place.join("axum-session.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(theirs);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
        let pool = SessionSqlitePool::from(pool.connect_with(options).await.expect("connected"));
        (ours.expect("a provider"), axum_session::on(pool, job.shape).await)
    });
    let mut subjects = vec![
        peers::floor(thread, job),
        peers::ours(thread, ours, job),
        peers::with_tower_sessions(thread, tower_sessions("tower-sessions.db", CONNECTIONS), job),
        peers::with_axum_session(thread, axum_session, job),
    ];
    if job.clients > 1 {
        // Writers do not block each other.
        let app = peers::tower_sessions::app(tower_sessions("one-connection.db", 1), job.shape);
        subjects.push(peers::axum(Role::Peer, "tower-sessions, 1 connection", thread, app, job));
    }
    let url = format!("sqlite://{}?mode=rwc", place.join("raw.db").display());
    let clients = || raw::sql::clients::<sqlx::Sqlite>(&url, dialect, job);
    subjects.extend(raw::subjects(thread, job, clients));
    subjects
}
