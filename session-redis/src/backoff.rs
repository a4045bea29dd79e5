//! The pauses between attempts to connect to a server.
//!
//! The pauses between failed attempts grow up to [`LONGEST`], and calls in between fail with the
//! error of the last attempt: an outage must not cause a storm of attempts, and callers must not
//! queue up behind it. If connecting succeeds and the connection ends immediately (a replica, a
//! proxy without a server), calls wait for their turn instead. The pauses are jittered, so that
//! many processes do not reconnect at the same moment.

use std::time::Duration;

use session_core::record::Version;
use tokio::time::Instant;

use crate::error::Fault;

/// The first pause; each further attempt doubles it.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(250);
/// A connection that lasted this long was a good one.
const LASTING: Duration = Duration::from_secs(1);

/// The history of attempts to connect to one server.
#[derive(Default)]
pub(crate) struct Attempts {
    /// The number of attempts since the last good connection.
    streak: u32,
    last: Option<Last>,
}

struct Last {
    ended: Instant,
    pause: Duration,
    fault: Option<Fault>,
}

impl Attempts {
    /// Returns the error for a caller that has waited since `asked`: that of an attempt that failed
    /// meanwhile.
    pub fn since(&self, asked: Instant) -> Option<Fault> {
        self.last.as_ref().filter(|last| last.ended > asked)?.fault.clone()
    }

    /// Returns the error of the last attempt, if it failed and it is too early for the next one.
    pub fn too_early(&self) -> Option<Fault> {
        self.last.as_ref().filter(|last| last.ended.elapsed() < last.pause)?.fault.clone()
    }

    /// Returns how long to wait before connecting, if the last connection ended soon after it was
    /// made and did not serve a command (`served`).
    pub fn pause(&mut self, served: bool) -> Option<Duration> {
        let last = self.last.as_ref()?;
        let age = last.ended.elapsed();
        if last.fault.is_none() && (served || age > LASTING) {
            self.streak = 0;
            return None;
        }
        last.pause.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Returns whether the last attempt failed.
    pub fn have_failed(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.fault.is_some())
    }

    pub fn succeeded(&mut self) {
        self.note(None);
    }

    pub fn failed(&mut self, fault: &Fault) {
        self.note(Some(fault.clone()));
    }

    fn note(&mut self, fault: Option<Fault>) {
        let longest = (SHORTEST * (1 << self.streak.min(8))).min(LONGEST);
        self.streak = self.streak.saturating_add(1);
        self.last = Some(Last { ended: Instant::now(), pause: jittered(longest), fault });
    }
}

/// Returns a random duration between half of `longest` and all of it.
fn jittered(longest: Duration) -> Duration {
    let half = longest / 2;
    let part = u32::try_from(Version::random().0 >> 48).unwrap_or(0);
    half + half * part / (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_start_over_after_a_lasting_connection() {
        let mut attempts = Attempts::default();
        let pause = |attempts: &Attempts| attempts.last.as_ref().map(|last| last.pause).unwrap();
        for expected in [10, 20, 40, 80, 160, 250, 250, 250] {
            attempts.failed(&Fault::unavailable("down"));
            let longest = Duration::from_millis(expected);
            assert!((longest / 2..=longest).contains(&pause(&attempts)), "{:?}", pause(&attempts));
        }
        for _ in 0..100 {
            attempts.failed(&Fault::unavailable("down"));
        }
        assert!(attempts.too_early().is_some() && attempts.have_failed());
        attempts.succeeded();
        assert!(attempts.too_early().is_none() && !attempts.have_failed());
        assert!(
            attempts.pause(false).is_some(),
            "a connection that ended immediately does not reset the pause"
        );
        assert!(attempts.pause(true).is_none(), "one that served a command does");
        attempts.succeeded();
        attempts.last.as_mut().unwrap().ended -= 2 * LASTING;
        assert!(attempts.pause(false).is_none());
        attempts.failed(&Fault::unavailable("down"));
        assert!(pause(&attempts) <= SHORTEST);
    }
}
