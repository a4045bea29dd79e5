//! The schedule and the task of the collection of expired sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::FOREVER;
use crate::clock::Timestamp;

/// The collection of one manager.
#[derive(Debug)]
pub(crate) struct Collecting {
    /// The interval; `None` is no automatic collection.
    pub interval: Option<Duration>,
    /// The time of the next collection by the manager's clock, in Unix milliseconds. Requests check
    /// it in addition to the timer, because a service may have been suspended, and tests set the
    /// clock.
    due: AtomicU64,
    pub wake: Arc<Notify>,
    pub task: Mutex<Option<AbortHandle>>,
    /// Closed when the manager is dropped, which ends the task.
    pub alive: watch::Sender<()>,
}

impl Collecting {
    /// The default interval.
    pub(crate) const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self {
            interval: interval.map(|interval| interval.min(FOREVER)),
            due: AtomicU64::new(if interval.is_some() { 0 } else { u64::MAX }),
            wake: Arc::default(),
            task: Mutex::default(),
            alive: watch::channel(()).0,
        }
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now.as_millis() >= self.due.load(Ordering::Relaxed)
    }

    /// Schedules the next collection.
    pub(crate) fn plan(&self, now: Timestamp) {
        let due = self.interval.map_or(u64::MAX, |interval| now.after(interval).as_millis());
        self.due.store(due, Ordering::Relaxed);
    }

    /// Keeps requests from starting a collection from now on.
    pub(crate) fn plan_never(&self) {
        self.due.store(u64::MAX, Ordering::Relaxed);
    }
}
