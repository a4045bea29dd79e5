//! The task that collects expired sessions: never inside a request, in small batches.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Manager, Shared};
use crate::commit::attempt::jitter;
use crate::observe;

/// How many sessions one batch removes at most.
const BATCH: usize = 1_000;
/// What the engine gets to breathe between two batches.
const PAUSE: Duration = Duration::from_millis(20);

/// The running collection. It stops when it is told to, and when the last handle to its manager is dropped;
/// dropping this handle alone does not stop it.
#[derive(Debug)]
pub struct GcTask(JoinHandle<()>);

impl GcTask {
    /// Stops collecting, at once.
    pub fn stop(self) {
        self.0.abort();
    }

    /// Whether it has stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.is_finished()
    }
}

impl Manager {
    /// Starts the task that removes expired sessions every `gc_interval`, give or take a tenth, so that the processes of a
    /// service do not collect at the same time. Must be called on a tokio runtime.
    ///
    /// Engines whose storage expires by itself need none; for them the task ends at once.
    #[doc(alias = "GC")]
    pub fn spawn_gc(&self) -> GcTask {
        let shared = Arc::downgrade(&self.0);
        let (interval, closed) = (self.0.gc_interval, self.0.alive.subscribe());
        let native = self.0.capabilities.native_expiry;
        GcTask(tokio::spawn(async move {
            if !native {
                run(shared, interval, closed).await;
            }
        }))
    }

    /// Removes what has expired, now, in batches, and says how many sessions that were.
    pub async fn collect(&self) -> crate::Result<usize> {
        self.0.collect().await
    }
}

async fn run(shared: Weak<Shared>, interval: Duration, mut closed: watch::Receiver<()>) {
    loop {
        let wait = interval.mul_f64(0.9) + jitter(interval.mul_f64(0.1));
        // The sender lives in the manager and never sends: an answer means that the manager is gone.
        if tokio::time::timeout(wait, closed.changed()).await.is_ok() {
            return;
        }
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = shared.collect().await {
            tracing::warn!(error = %error, "expired sessions not collected, trying again later");
        }
    }
}

impl Shared {
    async fn collect(&self) -> crate::Result<usize> {
        let mut total = 0;
        loop {
            let operation = self.operation("gc", false);
            let removed = operation.call(|| self.provider.gc(BATCH)).await?.value;
            total += removed;
            if removed < BATCH {
                observe::collected(total);
                return Ok(total);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
