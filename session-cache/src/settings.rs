//! The size of a cache, and the staleness of its reads.

use std::sync::Arc;
use std::time::Duration;

use session_core::clock::{Clock, SystemClock};
use session_core::{Error, Result};

/// The settings of a [`Cached`](crate::Cached) engine; validated when it is created.
#[derive(Debug, Clone)]
#[must_use = "settings do nothing before they are passed to `Cached::new`"]
pub struct Settings {
    pub(crate) max_stale: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Settings {
    /// Returns the defaults: one second, 64 MiB, the system's clock.
    pub fn new() -> Self {
        Self { max_stale: Duration::from_secs(1), max_bytes: 64 << 20, clock: Arc::new(SystemClock) }
    }

    /// Sets how stale a read may be. Default one second, at most a minute.
    ///
    /// For this long, a session that another process has changed or ended may be shown as it was.
    /// Changes of this process are visible immediately.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// Sets how many bytes of sessions are cached, including 512 bytes of overhead for each.
    /// Default 64 MiB. The least used sessions are evicted first.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the clock: that of the engine, if it has one that tests set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Validates the settings. [`Config`](session_core::ErrorKind::Config) when one is invalid.
    pub(crate) fn check(&self) -> Result<()> {
        if self.max_stale.is_zero() || self.max_stale > Duration::from_secs(60) {
            return Err(Error::config(format!(
                "max_stale is {:?}: it must be more than zero and at most a minute; or use the engine without a cache",
                self.max_stale
            )));
        }
        if self.max_bytes < 1 << 16 {
            return Err(Error::config(format!("max_bytes is {}: it must be at least 65536", self.max_bytes)));
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
