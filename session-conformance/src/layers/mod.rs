//! Layers between the core and an engine, which record, disturb and order the calls.

mod delayed;
mod faulty;
mod garbled;
mod gates;
mod last_moment;
mod meddler;
mod resent;
mod slow;
mod spy;
mod unheard;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::engine::{Condition, Cursor, DestroyOutcome, Indexed, Page, Rename, Scan, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

pub use delayed::Delayed;
pub use faulty::{Fault, Faulty};
pub use garbled::Garbled;
pub use gates::{Gates, Orders};
pub use last_moment::LastMoment;
pub use meddler::Meddler;
pub use resent::Resent;
pub use slow::Slow;
pub use spy::Spy;
pub use unheard::Unheard;
pub use writes::ByWrites;

/// A method of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum Method {
    Read,
    Write,
    Touch,
    Rename,
    Destroy,
    Exists,
    Count,
    Gc,
    List,
    EndOwner,
    Scan,
}

/// One call, before it reaches the engine.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The session of the call.
    pub id: Option<StorageId>,
    /// The time to live that it carries.
    pub ttl: Option<Duration>,
}

/// The hooks of a layer before and after each call of the engine. An error is returned to the
/// caller; after the call, it replaces the engine's result.
#[crate::async_trait]
pub trait Around: Send + Sync + fmt::Debug + 'static {
    /// The state of one call between before and after.
    type Memo: Send;

    /// Runs before the engine is called. If it fails, the engine is not called.
    async fn before(&self, call: &Call) -> Result<Self::Memo>;

    /// Runs after the engine has responded, before the caller gets the result.
    async fn after(&self, call: &Call, memo: Self::Memo) -> Result<()> {
        let _ = (call, memo);
        Ok(())
    }
}

/// An engine with hooks around each of its calls.
#[derive(Debug)]
pub struct Layer<A> {
    inner: Arc<dyn Provider>,
    around: Arc<A>,
}

impl<A: Around> Layer<A> {
    /// Wraps the calls of `inner` in `around`.
    pub fn over(inner: Arc<dyn Provider>, around: &Arc<A>) -> Arc<dyn Provider> {
        Arc::new(Self { inner, around: Arc::clone(around) })
    }

    async fn call<T>(
        &self,
        method: Method,
        id: Option<&StorageId>,
        ttl: Option<Duration>,
        inner: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let call = Call { method, id: id.cloned(), ttl };
        let memo = self.around.before(&call).await?;
        let answer = inner.await;
        self.around.after(&call, memo).await?;
        answer
    }
}

#[crate::async_trait]
impl<A: Around> Provider for Layer<A> {
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
        self.call(Method::Read, Some(id), Some(idle), self.inner.read(id, idle)).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.call(Method::Read, Some(id), Some(idle), self.inner.read_now(id, idle)).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.call(Method::Write, Some(id), Some(ttl), self.inner.write(id, record, condition, ttl)).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.call(Method::Touch, Some(id), Some(ttl), self.inner.touch(id, seen, ttl)).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.call(Method::Rename, Some(rename.old), Some(rename.ttl), self.inner.rename(rename)).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.call(Method::Destroy, Some(id), None, self.inner.destroy(id, expected)).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.call(Method::Exists, Some(id), None, self.inner.exists(id)).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.call(Method::Count, None, None, self.inner.count()).await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.call(Method::Gc, None, None, self.inner.gc(limit)).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed().map(|_| self as &dyn Indexed)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan().map(|_| self as &dyn Scan)
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, "the engine below does not have this ability")
}

#[crate::async_trait]
impl<A: Around> Indexed for Layer<A> {
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let engine = self.inner.as_indexed().ok_or_else(missing)?;
        self.call(Method::List, None, None, engine.list(owner, after, limit)).await
    }

    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let engine = self.inner.as_indexed().ok_or_else(missing)?;
        self.call(Method::EndOwner, None, None, engine.end_owner(owner, limit)).await
    }
}

#[crate::async_trait]
impl<A: Around> Scan for Layer<A> {
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let engine = self.inner.as_scan().ok_or_else(missing)?;
        self.call(Method::Scan, None, None, engine.scan(after, limit)).await
    }
}
