//! The cost of a request: counts the engine's calls for each request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_kit::engine::{Condition, DestroyOutcome, Indexed, Rename, Scan, WriteOutcome};
use session_kit::id::StorageId;
use session_kit::record::{Record, Stamp};
use session_kit::{Capabilities, Provider, Result};

use crate::asked::Asked;
use crate::page::{self, Click};

/// One call of the engine.
#[derive(Clone, Copy)]
pub struct Call {
    pub name: &'static str,
    pub took: Duration,
}

tokio::task_local! {
    static CALLS: Arc<Mutex<Vec<Call>>>;
}

/// The calls of the current request so far.
pub fn so_far() -> Vec<Call> {
    CALLS.try_with(|calls| calls.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
}

/// Counts the calls of one request, including its release; used by the outermost middleware.
pub struct Metered {
    calls: Arc<Mutex<Vec<Call>>>,
    action: Option<&'static str>,
    log: Vec<Click>,
}

impl Metered {
    pub fn new(asked: &Asked) -> Self {
        Self { calls: Arc::default(), action: page::action(asked), log: page::log_of(asked) }
    }

    /// Runs the handler of the request.
    pub fn count<F: Future>(&self, answer: F) -> impl Future<Output = F::Output> {
        CALLS.scope(Arc::clone(&self.calls), answer)
    }

    /// The response headers with the counts.
    pub fn headers(&self, is_redirection: bool) -> Vec<(&'static str, String)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // Browsers show this header in their network tools.
        let timing = |call: &Call| format!("{};dur={:.3}", call.name, call.took.as_secs_f64() * 1e3);
        let timing: Vec<_> = calls.iter().map(timing).collect();
        let timing = (!timing.is_empty()).then(|| ("server-timing", timing.join(", ")));
        let done = self.action.filter(|_| is_redirection);
        let cookie = done.map(|action| ("set-cookie", page::remembered(action, &calls, self.log.clone())));
        timing.into_iter().chain(cookie).collect()
    }
}

/// An engine whose calls are counted.
#[derive(Debug)]
pub struct Counted(pub Arc<dyn Provider>);

async fn count<T>(name: &'static str, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let outcome = call.await;
    let took = begun.elapsed();
    // The collection of expired sessions is not counted.
    let _ = CALLS.try_with(|calls| {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { name, took });
    });
    outcome
}

#[async_trait]
impl Provider for Counted {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.0.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        count("read", self.0.read(id, idle)).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        count("read", self.0.read_now(id, idle)).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let name = if condition == Condition::Absent { "create" } else { "write" };
        count(name, self.0.write(id, record, condition, ttl)).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        count("touch", self.0.touch(id, seen, ttl)).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        count("rename", self.0.rename(rename)).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        count("destroy", self.0.destroy(id, expected)).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        count("exists", self.0.exists(id)).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        count("count", self.0.count()).await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        count("gc", self.0.gc(limit)).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.0.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.0.as_scan()
    }
}
