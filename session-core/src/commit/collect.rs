//! Collects expired sessions in the background, in small batches and never inside a request.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::shared::{Collecting, EventKind, Operation, Shared, jitter};
use crate::{ErrorKind, Result, observe};

/// The largest number of sessions in a batch, and the smallest, to which batches shrink when they
/// exceed their deadline.
const BATCH: usize = 1_000;
const SMALLEST: usize = 10;
/// The pause after a batch is as long as the batch took, but at most this.
const PAUSE: Duration = Duration::from_millis(20);
/// After this time an engine may end a batch early.
const EARLY: Duration = Duration::from_secs(1);

/// Starts the collection with the first request, and wakes it when the manager's clock says that it
/// is time.
pub(super) fn start_if_due(shared: &Arc<Shared>, now: Timestamp) {
    if shared.collecting.is_due(now) {
        start(shared, now);
    }
}

#[cold]
fn start(shared: &Arc<Shared>, now: Timestamp) {
    let collecting = &shared.collecting;
    collecting.plan(now);
    if shared.capabilities.native_expiry {
        collecting.plan_never();
    } else if let Some(interval) = collecting.interval {
        let mut task = collecting.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &*task {
            Some(task) if !task.is_finished() => collecting.wake.notify_one(),
            // There is no task yet, or its runtime is gone.
            _ => *task = Handle::try_current().ok().map(|runtime| spawn(shared, interval, &runtime)),
        }
    }
}

/// Starts the collection unless it is running, and returns its handle. Must be called on a tokio
/// runtime.
pub(crate) fn ensure(shared: &Arc<Shared>) -> AbortHandle {
    let interval = shared.collecting.interval.unwrap_or(Collecting::DEFAULT_INTERVAL);
    let mut task = shared.collecting.task.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = task.as_ref().filter(|task| !task.is_finished()) {
        return running.clone();
    }
    let started = spawn(shared, interval, &Handle::current());
    *task = Some(started.clone());
    started
}

fn spawn(shared: &Arc<Shared>, interval: Duration, runtime: &Handle) -> AbortHandle {
    let collecting = &shared.collecting;
    let native = shared.capabilities.native_expiry;
    let run =
        run(Arc::downgrade(shared), interval, Arc::clone(&collecting.wake), collecting.alive.subscribe());
    let task = async move {
        if !native {
            run.await;
        }
    };
    runtime.spawn(task).abort_handle()
}

/// Stops the collection for good.
pub(crate) fn stop(shared: &Shared) {
    shared.collecting.plan_never();
    *shared.collecting.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

async fn run(shared: Weak<Shared>, interval: Duration, wake: Arc<Notify>, mut closed: watch::Receiver<()>) {
    loop {
        // Randomized, so that the processes of a service do not collect at the same time.
        let wait = interval.mul_f64(0.9) + jitter(interval.mul_f64(0.1));
        let woken = async {
            let (wake, closed) = (std::pin::pin!(wake.notified()), std::pin::pin!(closed.changed()));
            first(wake, closed).await
        };
        // The manager owns the sender and never sends, so a result means that the manager is gone.
        if let Ok(Woken::Closed) = tokio::time::timeout(wait, woken).await {
            return;
        }
        if let Err(error) = collect(&shared).await {
            tracing::warn!(error = %error, "expired sessions not collected, trying again later");
        }
        let Some(shared) = shared.upgrade() else { return };
        shared.collecting.plan(shared.now());
    }
}

enum Woken {
    Due,
    Closed,
}

async fn first(
    mut due: std::pin::Pin<&mut impl Future>,
    mut closed: std::pin::Pin<&mut impl Future>,
) -> Woken {
    std::future::poll_fn(|context| {
        if closed.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(Woken::Closed);
        }
        due.as_mut().poll(context).map(|_| Woken::Due)
    })
    .await
}

/// Removes expired sessions in batches, and returns their number. It stops when the manager is
/// dropped, even while batches are full. A batch that exceeds its deadline is followed by a smaller
/// one.
pub(crate) async fn collect(shared: &Weak<Shared>) -> Result<usize> {
    let (mut total, mut batch) = (0, BATCH);
    loop {
        let Some(manager) = shared.upgrade() else { return Ok(total) };
        let begun = Instant::now();
        let removed = operation(&manager, batch).once(manager.provider.gc(batch)).await;
        drop(manager);
        let took = begun.elapsed();
        match removed {
            Ok(removed) if removed < batch && (removed == 0 || took < EARLY) => {
                total += removed;
                observe::collected(total);
                if let Some(manager) = shared.upgrade() {
                    manager.events.emit_many(EventKind::Expired, total, None);
                }
                return Ok(total);
            }
            Ok(removed) => {
                total += removed;
                batch = (batch * 2).min(BATCH);
            }
            Err(error) if error.kind() == ErrorKind::Unavailable && batch > SMALLEST => {
                batch = (batch / 4).max(SMALLEST);
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(took.min(PAUSE)).await;
    }
}

/// A batch has the timeout of an ordinary operation; the smallest one has that of maintenance.
fn operation(shared: &Shared, batch: usize) -> Operation {
    if batch > SMALLEST { shared.operation("gc", false) } else { shared.maintenance("gc") }
}
