//! Times to live in memcached's format.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A larger number is not seconds from now but a date, in seconds since 1970.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;
/// memcached uses 31 bits; a larger number becomes negative, which means "expired".
const LATEST: u64 = i32::MAX as u64;

/// The protocol's number for a lifetime that starts now.
///
/// The server counts whole ticks of one second, and the current tick has already begun: an item
/// with `n` ticks lives for more than `n - 1` and at most `n` seconds. A lifetime of whole seconds
/// therefore gets one more tick and never ends early; a fractional one ends within its last second.
/// None is longer by more than a second.
pub(crate) fn wire(ttl: Duration) -> u32 {
    wire_at(ttl, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn wire_at(ttl: Duration, now: u64) -> u32 {
    let seconds = ttl.as_secs().saturating_add(1);
    let date = seconds.saturating_add(now).min(LATEST);
    let number = if seconds <= LONGEST_RELATIVE {
        seconds
    } else if date > now.saturating_add(LONGEST_RELATIVE) {
        date
    } else {
        // The last date is too early for this lifetime; thirty days need no date.
        LONGEST_RELATIVE
    };
    u32::try_from(number).unwrap_or(i32::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_round_up_and_are_never_zero_which_means_forever() {
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
    #[test]
    fn long_lifetimes_beyond_the_last_date_become_thirty_days() {
        let month = 30 * 24 * 60 * 60;
        let year_9999 = 253_402_300_799;
        for now in [LATEST - 60, LATEST - month, LATEST, LATEST + 1, year_9999, u64::MAX] {
            for ttl in [Duration::from_secs(month), Duration::from_secs(10 * month), Duration::MAX] {
                assert_eq!(u64::from(wire_at(ttl, now)), month, "{ttl:?} at {now}");
            }
            assert_eq!(wire_at(Duration::from_secs(60), now), 61);
            assert_eq!(wire_at(Duration::ZERO, now), 1);
        }
        assert_eq!(u64::from(wire_at(Duration::MAX, LATEST - 2 * month)), LATEST);
    }
}
