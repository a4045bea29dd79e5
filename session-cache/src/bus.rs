//! The bus: the engine's notices of changes by other processes.
//!
//! A cached record is used only as long as every notice since its read has arrived. Such a period
//! is an epoch: it ends when the bus is lost, and when a notice says that any record may have
//! changed. A heartbeat detects a connection that died silently: without an answer the bus counts
//! as lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::engine::{Listener, Notice};
use session_core::record::Version;
use session_core::{Error, ErrorKind, Provider};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::entries::Entries;
use crate::rules::{Epoch, epoch_at};
use crate::{count, gauge};

/// 1 while the bus is connected.
const UP: &str = "session_cache_bus_up";

/// The interval of the heartbeat, and its timeout.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long an answer counts: until the answer to the next heartbeat, plus some delay on a busy
/// machine.
const GOOD_FOR: Duration = Duration::from_secs(3);
/// The timeout for connecting.
const PATIENCE: Duration = Duration::from_secs(10);
/// The shortest and the longest pause between attempts to connect.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Whether a cache is notified of the changes of other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bus {
    /// The engine has no bus, or its configuration does not enable it: reads may be `max_stale`
    /// old.
    Absent,
    /// Notices arrive; sessions that other processes change are read again.
    Connected,
    /// Not connected yet, or lost: every read goes to the engine.
    Lost,
}

/// The state of the bus.
#[derive(Debug)]
pub(crate) struct Watch {
    exists: bool,
    /// Zero while the bus is lost.
    epoch: AtomicU64,
    last: AtomicU64,
    /// The time until which the last answer counts, in milliseconds since `start`.
    good_until: AtomicU64,
    start: Instant,
}

impl Watch {
    /// Creates the state for an engine with a bus that is not connected yet, or without a bus.
    pub(crate) fn new(exists: bool) -> Self {
        Self {
            exists,
            epoch: AtomicU64::new(0),
            last: AtomicU64::new(0),
            good_until: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Returns the current epoch: always the same without a bus, `None` while the bus is lost.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        if !self.exists {
            return Some(Epoch::MIN);
        }
        let epoch = self.epoch.load(Ordering::Acquire);
        // The task that listens may be starved, or have ended with its runtime.
        epoch_at(epoch, self.millis(), self.good_until.load(Ordering::Relaxed))
    }

    pub(crate) fn state(&self) -> Bus {
        match self.epoch() {
            _ if !self.exists => Bus::Absent,
            Some(_) => Bus::Connected,
            None => Bus::Lost,
        }
    }

    fn answered(&self, asked: Instant) {
        let until = asked.duration_since(self.start) + GOOD_FOR;
        self.good_until.store(millis(until), Ordering::Relaxed);
    }

    /// Begins a new epoch: earlier reads are no longer used.
    fn begin(&self) {
        self.epoch.store(self.last.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Release);
    }

    fn end(&self) {
        self.epoch.store(0, Ordering::Release);
    }

    fn millis(&self) -> u64 {
        millis(self.start.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A connected bus. It counts as lost when this is dropped, also together with the runtime.
struct Connected<'a>(&'a Entries);

impl<'a> Connected<'a> {
    fn new(entries: &'a Entries) -> Self {
        let connected = Self(entries);
        entries.bus.answered(Instant::now());
        connected.begin();
        gauge(UP, 1.0);
        connected
    }

    /// Begins an epoch: reads that started before it are not used. The entries are cleared first,
    /// because a reader of the new epoch may join any read that has not been dropped.
    fn begin(&self) {
        self.0.clear();
        self.0.bus.begin();
    }

    /// Drops the sessions that the notices name, until the connection is lost.
    async fn follow(&self, mut listener: Box<dyn Listener>) -> Error {
        let mut due = Instant::now() + HEARTBEAT;
        // The time of the last heartbeat that was answered. The answer counts once the notices
        // before it are applied: they may have waited for longer than an answer counts.
        let mut answered = None;
        loop {
            let asked = Instant::now();
            if asked >= due && answered.is_none() {
                match timeout(HEARTBEAT, listener.check()).await {
                    Ok(Ok(())) => answered = Some(asked),
                    Ok(Err(error)) => return error,
                    Err(_) => return unanswered(),
                }
            }
            match timeout_at(due, listener.next()).await {
                Ok(Ok(notice)) => {
                    count("session_cache_notice");
                    match notice {
                        Notice::Changed(id) => self.0.changed(&id),
                        Notice::Everything => self.begin(),
                    }
                }
                Ok(Err(error)) => return error,
                Err(_) => {
                    if let Some(asked) = answered.take() {
                        self.0.bus.answered(asked);
                        due = asked + HEARTBEAT;
                    }
                }
            }
        }
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.bus.end();
        self.0.clear();
        gauge(UP, 0.0);
    }
}

/// Listens for ever: connects, follows the notices, and starts over when the connection is lost.
pub(crate) async fn listen(engine: Arc<dyn Provider>, entries: Arc<Entries>) {
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    // Logged once per outage.
    let mut is_logged = false;
    gauge(UP, 0.0);
    while let Some(notify) = engine.as_notify() {
        let begun = Instant::now();
        let opened = timeout(PATIENCE, notify.listen()).await.unwrap_or_else(|_| Err(unanswered()));
        let (error, what) = match opened {
            Ok(listener) => {
                tracing::info!(engine = engine.engine(), "the invalidation bus is connected");
                let error = Connected::new(&entries).follow(listener).await;
                count("session_cache_bus_lost");
                is_logged = false;
                (error, "lost")
            }
            Err(error) => (error, "not connected"),
        };
        if !is_logged {
            tracing::warn!(
                engine = engine.engine(), %error,
                "the invalidation bus is {what}: every read goes to the engine until it is back"
            );
            is_logged = true;
        }
        // The pause is reset only after a lasting connection.
        if begun.elapsed() > longest {
            pause = shortest;
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(longest);
    }
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Unavailable, "the server did not answer in time").during("listen")
}

/// Returns a random duration between half of `longest` and all of it, so that many processes do not
/// reconnect at the same moment.
fn jittered(longest: Duration) -> Duration {
    let part = u32::try_from(Version::random().0 >> 48).unwrap_or(0);
    longest / 2 + longest / 2 * part / (1 << 16)
}
