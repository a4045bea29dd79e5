//! Runs the conformance suite: in a file, in memory, and in an application's own pool.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_conformance::{Harness, async_trait};
use session_core::Provider;
use session_core::clock::ManualClock;
use session_core::id::StorageId;
use session_sqlite::{SqliteConfig, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteProvider};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tempfile::TempDir;

/// Each test has its own file, and a clock that it controls.
struct InFile {
    directory: TempDir,
    clock: ManualClock,
}

impl InFile {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: ManualClock::default() }
    }

    async fn connect(&self) -> Arc<dyn Provider> {
        let config = SqliteConfig::file(self.directory.path().join("sessions.db"));
        // Long enough that a busy machine does not look like a permanent lock.
        let config = config.busy_timeout(Duration::from_secs(20));
        let provider = SqliteProvider::connect(config).await.unwrap();
        Arc::new(provider.clock(Arc::new(self.clock.clone())))
    }
}

#[async_trait]
impl Harness for InFile {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.connect().await
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.connect().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        support::put_raw(&self.directory.path().join("sessions.db"), id, bytes, &self.clock).await;
        true
    }
}

/// Each test has its own database in memory.
#[derive(Default)]
struct InMemory(ManualClock);

#[async_trait]
impl Harness for InMemory {
    async fn provider(&self) -> Arc<dyn Provider> {
        let provider = SqliteProvider::connect(SqliteConfig::memory()).await.unwrap();
        Arc::new(provider.clock(Arc::new(self.0.clone())))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.0.clone())
    }
}

/// An application's pool, which pings its connections.
struct InPool(InFile);

#[async_trait]
impl Harness for InPool {
    async fn provider(&self) -> Arc<dyn Provider> {
        let file = self.0.directory.path().join("sessions.db");
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
        let options = options.busy_timeout(Duration::from_secs(20));
        let pool: SqlitePool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let provider = SqliteProvider::with_pool(pool, "session").unwrap();
        provider.migrate().await.unwrap();
        Arc::new(provider.clock(Arc::new(self.0.clock.clone())))
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.provider().await
    }

    fn clock(&self) -> Option<ManualClock> {
        self.0.clock()
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        self.0.put_raw(id, bytes).await
    }
}

mod file {
    use super::InFile;
    session_conformance::suite!(InFile::new());
    session_conformance::histories!(InFile::new());
}

mod memory {
    use super::InMemory;
    session_conformance::suite!(InMemory::default());
    session_conformance::histories!(InMemory::default());
}

mod pool {
    use super::{InFile, InPool};
    session_conformance::suite!(InPool(InFile::new()));
    session_conformance::histories!(InPool(InFile::new()));
}
