//! Times to live as memcached reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Above this a number is not seconds from now but a date, as seconds since 1970.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;
/// memcached reads the number with 31 bits; a greater one turns negative, which means "expired".
const LATEST: u64 = i32::MAX as u64;

/// The protocol's number for a lifetime that begins now.
///
/// The server counts whole ticks of its clock, and the present tick has begun already: an item that is to live for `n`
/// ticks lives for more than `n - 1` seconds and at most `n`. A lifetime of whole seconds therefore gets one tick more, and
/// never ends early; that of a fraction ends when its last second does, or earlier in it. None is longer by more than a second.
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
        // The dates end too soon for this lifetime. Thirty days need none.
        LONGEST_RELATIVE
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
    #[test]
    fn near_the_last_date_and_after_it_a_long_lifetime_is_thirty_days_and_not_over_at_once() {
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
