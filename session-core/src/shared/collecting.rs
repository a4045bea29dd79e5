//! When expired sessions are collected, and by which task.

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
    /// How often; `None` is never, by itself.
    pub interval: Option<Duration>,
    /// When the next collection is due, by the manager's clock, in Unix milliseconds. A service may be asleep, and
    /// tests turn the clock, so requests look at it as well as a timer.
    due: AtomicU64,
    pub wake: Arc<Notify>,
    pub task: Mutex<Option<AbortHandle>>,
    /// Closed when the manager is dropped, which ends its tasks.
    pub alive: watch::Sender<()>,
}

impl Collecting {
    /// How often a manager collects unless told otherwise.
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

    /// Sets when the next collection is due.
    pub(crate) fn plan(&self, now: Timestamp) {
        let due = self.interval.map_or(u64::MAX, |interval| now.after(interval).as_millis());
        self.due.store(due, Ordering::Relaxed);
    }

    /// No request starts a collection from now on.
    pub(crate) fn plan_never(&self) {
        self.due.store(u64::MAX, Ordering::Relaxed);
    }
}
