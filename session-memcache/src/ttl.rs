//! Times to live as memcached reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Above this a number is not seconds from now but a date, as seconds since 1970.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;
/// memcached reads the number with 31 bits; a greater one turns negative, which means "expired".
const LATEST: u64 = i32::MAX as u64;

/// The protocol's number for a lifetime that begins now.
///
/// The server counts whole ticks of a clock that stands somewhere within a second: what is to live for `n` of them lives
/// for more than `n - 1` seconds and at most `n`. A lifetime of whole seconds therefore gets one tick more, and never ends
/// early; that of a fraction ends when its last second does, or earlier in it. None is longer by more than a second.
pub(crate) fn wire(ttl: Duration) -> u32 {
    let seconds = ttl.as_secs().saturating_add(1);
    let number = if seconds <= LONGEST_RELATIVE {
        seconds
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        seconds.saturating_add(now).min(LATEST)
    };
    u32::try_from(number).unwrap_or(i32::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_round_up_and_are_never_the_zero_that_means_for_ever() {
        assert_eq!(wire(Duration::ZERO), 1);
        assert_eq!(wire(Duration::from_millis(1)), 1);
        assert_eq!(wire(Duration::from_secs(1)), 2);
        assert_eq!(wire(Duration::from_millis(1_500)), 2);
        assert_eq!(wire(Duration::from_secs(30 * 24 * 60 * 60 - 1)), 30 * 24 * 60 * 60);
    }

    #[test]
    fn more_than_thirty_days_is_a_date() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let month = 30 * 24 * 60 * 60;
        let number = u64::from(wire(Duration::from_secs(month)));
        assert!((now + month + 1..now + month + 10).contains(&number), "{number}");
        assert_eq!(u64::from(wire(Duration::MAX)), LATEST);
    }
}
