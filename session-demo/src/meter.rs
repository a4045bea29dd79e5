//! What a request costs: an engine that counts its calls, and their sum for each request.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use session_kit::{
    Capabilities, Condition, DestroyOutcome, Provider, Record, Rename, Result, Scan, Stamp, StorageId,
    WriteOutcome,
};

use crate::page;

/// One call of the engine.
#[derive(Clone, Copy)]
pub struct Call {
    pub name: &'static str,
    pub took: Duration,
}

tokio::task_local! {
    static CALLS: Arc<Mutex<Vec<Call>>>;
}

/// What the present request has cost so far.
pub fn so_far() -> Vec<Call> {
    CALLS.try_with(|calls| calls.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
}

/// The outermost middleware: counts the calls of a request, its release included, and tells the client.
pub async fn measure(request: Request, next: Next) -> Response {
    let (action, log) =
        (page::action(request.method(), request.uri().path()), page::log_of(request.headers()));
    let calls = Arc::default();
    let mut response = CALLS.scope(Arc::clone(&calls), next.run(request)).await;
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    // Browsers show this header among their network tools.
    let timing: Vec<_> =
        calls.iter().map(|call| format!("{};dur={:.3}", call.name, call.took.as_secs_f64() * 1e3)).collect();
    if let (false, Ok(value)) = (timing.is_empty(), HeaderValue::try_from(timing.join(", "))) {
        response.headers_mut().insert("server-timing", value);
    }
    if let Some(action) = action {
        page::remember(&mut response, action, &calls, log);
    }
    response
}

/// An engine whose calls are counted.
#[derive(Debug)]
pub struct Metered(pub Arc<dyn Provider>);

async fn count<T>(name: &'static str, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let outcome = call.await;
    let took = begun.elapsed();
    // Nobody counts for the collection of expired sessions.
    let _ = CALLS.try_with(|calls| {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { name, took });
    });
    outcome
}

#[async_trait]
impl Provider for Metered {
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
