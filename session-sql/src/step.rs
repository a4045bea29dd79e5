//! The rounding of the time after which a row is collected.
//!
//! Expired rows are found by an index. An index on the deadline would change with every write, a
//! quarter of the write's cost on the server. So the index is on the rounded deadline, which rarely
//! changes.

use std::time::Duration;

/// The largest step, and so the longest delay before an expired row is removed.
pub const LONGEST_STEP: Duration = Duration::from_millis(1 << 17);

/// The step to which the deadline of a session with the idle timeout `idle` is rounded up: a power
/// of two of milliseconds, at most a sixteenth of `idle` and [`LONGEST_STEP`], at least 1 ms.
pub fn step(idle: Duration) -> Duration {
    let sixteenth = u64::try_from(idle.as_millis() / 16).unwrap_or(u64::MAX);
    Duration::from_millis(1 << sixteenth.max(1).ilog2()).min(LONGEST_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_small_part_of_the_idle_time() {
        let millis = |idle: Duration| step(idle).as_millis();
        assert_eq!(
            [0, 1, 16, 31, 32, 1_000].map(|idle| millis(Duration::from_millis(idle))),
            [1, 1, 1, 1, 2, 32]
        );
        assert_eq!(millis(Duration::from_mins(30)), 65_536);
        assert_eq!([Duration::from_hours(1), Duration::MAX].map(step), [LONGEST_STEP; 2]);
    }
}
