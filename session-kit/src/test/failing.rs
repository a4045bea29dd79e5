//! An engine that fails on command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::{Condition, DestroyOutcome, Indexed, Rename, Scan, WriteOutcome};
use crate::id::StorageId;
use crate::record::{Record, Stamp};
use crate::{Capabilities, Error, ErrorKind, Provider, Result};

/// A wrapper of another engine that fails on command. Clones share it.
///
/// A failing call does not reach the inner engine. Listing and ending the sessions of an owner is
/// always passed on.
#[derive(Debug, Clone)]
pub struct Failing {
    inner: Arc<dyn Provider>,
    fails: Arc<Mutex<Fails>>,
}

/// The errors of failing calls.
#[derive(Debug, Clone, Copy, Default)]
struct Fails {
    reads: Option<ErrorKind>,
    writes: Option<ErrorKind>,
}

impl Failing {
    /// An engine that works until told to fail.
    pub fn new(inner: impl Provider) -> Self {
        Self::shared(Arc::new(inner))
    }

    /// Like [`new`](Self::new), for a shared engine.
    pub fn shared(inner: Arc<dyn Provider>) -> Self {
        Self { inner, fails: Arc::default() }
    }

    /// Makes every call fail with this kind from now on.
    pub fn fail(&self, kind: ErrorKind) {
        *self.fails() = Fails { reads: Some(kind), writes: Some(kind) };
    }

    /// Makes changing calls fail with this kind from now on; others work.
    pub fn fail_writes(&self, kind: ErrorKind) {
        *self.fails() = Fails { reads: None, writes: Some(kind) };
    }

    /// Makes every call work from now on.
    pub fn heal(&self) {
        *self.fails() = Fails::default();
    }

    fn fails(&self) -> MutexGuard<'_, Fails> {
        self.fails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> Result<()> {
        outcome(self.fails().reads)
    }

    fn writes(&self) -> Result<()> {
        outcome(self.fails().writes)
    }
}

fn outcome(failure: Option<ErrorKind>) -> Result<()> {
    failure.map_or(Ok(()), |kind| Err(Error::new(kind, "a test told the engine to fail")))
}

#[async_trait]
impl Provider for Failing {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.inner.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.reads()?;
        self.inner.read(id, idle).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.reads()?;
        self.inner.read_now(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.writes()?;
        self.inner.write(id, record, condition, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.writes()?;
        self.inner.touch(id, seen, ttl).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.writes()?;
        self.inner.rename(rename).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.writes()?;
        self.inner.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.reads()?;
        self.inner.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.reads()?;
        self.inner.count().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.writes()?;
        self.inner.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan()
    }
}
