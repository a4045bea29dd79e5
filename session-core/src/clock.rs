//! Time in milliseconds since the Unix epoch, from a clock that tests can set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time in whole milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest time that can be expressed.
    pub const MAX: Self = Self(u64::MAX);

    /// Creates a time from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Adds a duration, rounded up to the millisecond and saturating at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        // On the path of every request: whole seconds and the rest, because 128-bit division is
        // slow.
        let rest = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        let millis = duration.as_secs().saturating_mul(1_000).saturating_add(rest);
        Self(self.0.saturating_add(millis))
    }

    /// Returns the duration from `earlier` until this time; zero when this time is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Truncates to whole milliseconds; a time before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(
            since_epoch
                .as_secs()
                .saturating_mul(1_000)
                .saturating_add(u64::from(since_epoch.subsec_millis())),
        )
    }
}

impl From<Timestamp> for SystemTime {
    /// A time after the year 9999, such as [`Timestamp::MAX`], becomes the last millisecond of that
    /// year, which every platform can represent and every format can print.
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0.min(END_OF_YEAR_9999))
    }
}

/// The last millisecond of the year 9999.
const END_OF_YEAR_9999: u64 = 253_402_300_799_999;

/// The clock of a manager, and of an engine without its own.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock for tests: it advances only when it is told to. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Creates a clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Moves the clock forward, by whole milliseconds and at most to [`Timestamp::MAX`].
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let moved = |now: u64| Some(now.saturating_add(millis));
        // It never fails, because the closure always returns a value.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }
}

impl Default for ManualClock {
    /// Shows the current time.
    fn default() -> Self {
        Self::new(SystemClock.now())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_round_up_and_never_overflow() {
        let start = Timestamp::from_millis(1_000);
        assert_eq!(start.after(Duration::from_nanos(1)).as_millis(), 1_001);
        assert_eq!(start.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(start.since(Timestamp::from_millis(5_000)), Duration::ZERO);
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = ManualClock::default();
        let before = clock.now();
        clock.clone().advance(Duration::from_secs(3));
        assert_eq!(clock.now().since(before), Duration::from_secs(3));
    }

    #[test]
    fn system_times_are_converted_both_ways_and_clamped() {
        let time = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        let before_the_epoch = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before_the_epoch), Timestamp::from_millis(0));
        let end = Timestamp::from_millis(END_OF_YEAR_9999);
        assert_eq!(SystemTime::from(Timestamp::MAX), SystemTime::from(end));
        assert_eq!(Timestamp::from(SystemTime::from(end)), end);
    }

    #[test]
    fn a_clock_saturates_at_the_latest_time() {
        let clock = ManualClock::default();
        clock.advance(Duration::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::MAX);
        assert_eq!(clock.now().after(Duration::MAX), Timestamp::MAX);
    }
}
