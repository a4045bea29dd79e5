//! How large a cache may become, and how old what it shows.

use std::sync::Arc;
use std::time::Duration;

use session_core::clock::{Clock, SystemClock};
use session_core::{Error, Result};

/// The settings of a [`Cached`](crate::Cached) engine; checked when it is made.
#[derive(Debug, Clone)]
#[must_use = "settings do nothing before they are given to `Cached::new`"]
pub struct Settings {
    pub(crate) max_stale: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Settings {
    /// One second, 64 MiB, the system's clock.
    pub fn new() -> Self {
        Self { max_stale: Duration::from_secs(1), max_bytes: 64 << 20, clock: Arc::new(SystemClock) }
    }

    /// How old a read may be. Default one second, at most a minute.
    ///
    /// For so long a session that another process has changed or ended may be shown as it was. What this process changes
    /// or ends is seen at once.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// How many bytes of sessions are kept, 512 bytes for each included. Default 64 MiB. Those that are used least are
    /// dropped first.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Where the time comes from: the clock of the engine, where it has one that tests turn.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// [`Config`](session_core::ErrorKind::Config) when a setting cannot be used.
    pub(crate) fn check(&self) -> Result<()> {
        if self.max_stale.is_zero() || self.max_stale > Duration::from_secs(60) {
            return Err(Error::config(format!(
                "max_stale is {:?}: give more than zero and a minute at most, or use the engine without a cache",
                self.max_stale
            )));
        }
        if self.max_bytes < 1 << 16 {
            return Err(Error::config(format!("max_bytes is {}: give 65536 at least", self.max_bytes)));
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
