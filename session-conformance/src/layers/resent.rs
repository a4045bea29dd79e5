//! A driver that sends everything twice.

use std::sync::Arc;
use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Indexed, Rename, Scan, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

/// Sends every changing call twice and returns the second result, like a driver that loses the
/// first response and retries automatically. A refusal says that it may follow a resend.
#[derive(Debug)]
pub struct Resent {
    inner: Arc<dyn Provider>,
    ends: bool,
}

impl Resent {
    /// The engine behind such a driver.
    pub fn on(inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Self { inner, ends: true })
    }

    /// The same, but a destroy is sent once. The second of two destroys finds nothing, so a logout
    /// through [`on`](Self::on) ends the session but cannot report whether there was one.
    pub fn writes_on(inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Self { inner, ends: false })
    }
}

/// The result of the second call, which may follow an applied first one.
fn received<T>(first: Result<T>, second: Result<T>) -> Result<T> {
    match second {
        Err(error) if error.kind() == ErrorKind::Unavailable && !is_refused(&first) => {
            Err(Error::new(ErrorKind::OutcomeUnknown, "a test resends a call"))
        }
        second => second,
    }
}

/// Returns whether a call is known to have changed nothing.
fn is_refused<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() != ErrorKind::OutcomeUnknown)
}

/// The answer that the caller gets to a write that was sent twice.
fn resent(first: Result<WriteOutcome>, second: Result<WriteOutcome>) -> Result<WriteOutcome> {
    Ok(match received(first, second)? {
        WriteOutcome::Refused(refusal) => {
            WriteOutcome::refused_after_resend(refusal.current.map(|current| *current))
        }
        stored @ WriteOutcome::Stored(_) => stored,
    })
}

#[crate::async_trait]
impl Provider for Resent {
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
        self.inner.read(id, idle).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.inner.read_now(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let first = self.inner.write(id, record, condition, ttl).await;
        resent(first, self.inner.write(id, record, condition, ttl).await)
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let first = self.inner.touch(id, seen, ttl).await;
        received(first, self.inner.touch(id, seen, ttl).await)
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let first = self.inner.rename(rename).await;
        resent(first, self.inner.rename(rename).await)
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        if !self.ends {
            return self.inner.destroy(id, expected).await;
        }
        let first = self.inner.destroy(id, expected).await;
        received(first, self.inner.destroy(id, expected).await)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.inner.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.inner.count().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.inner.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan()
    }
}
