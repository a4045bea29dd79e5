//! The recent writes of this process.
//!
//! A browser sends concurrent requests with the same cookie. If one of them, a form, changes the
//! session and another, an image, only reads it, a cookie reissued for the image would undo the
//! change. Only the client holds the record, so a process knows only its own writes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::clock::Timestamp;
use session_core::record::{Header, Version};

use crate::seal::SessionId;

/// The time for which requests with a replaced cookie may still be in flight.
pub(crate) const OVERLAP: Duration = Duration::from_secs(60);

/// The maximum number of writes, about 3 MB; the older half is dropped early to stay within it.
const MAX_WRITES: usize = 64 << 10;

/// The latest write of each session. Bounded in time and in number.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Generations>);

/// Two generations of writes, so that expiry is cheap: the older one is dropped as a whole.
#[derive(Debug)]
struct Generations {
    present: HashMap<SessionId, Written>,
    past: HashMap<SessionId, Written>,
    begun: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    version: Version,
    at: Timestamp,
}

impl Default for Generations {
    fn default() -> Self {
        let begun = Timestamp::from_millis(0);
        Self { present: HashMap::new(), past: HashMap::new(), begun }
    }
}

impl Recent {
    /// Notes a write that has replaced a session's token, or has ended the session.
    pub(crate) fn note(&self, session: SessionId, version: Version, now: Timestamp) {
        let mut generations = self.lock();
        if now.since(generations.begun) >= OVERLAP || generations.present.len() >= MAX_WRITES / 2 {
            generations.past = std::mem::take(&mut generations.present);
            generations.begun = now;
        }
        generations.present.insert(session, Written { version, at: now });
    }

    /// Returns whether there was a write within this time that the history in this header does not
    /// contain.
    pub(crate) fn has_newer(
        &self,
        session: SessionId,
        than: &Header,
        now: Timestamp,
        within: Duration,
    ) -> bool {
        let generations = self.lock();
        let written = generations.present.get(&session).or_else(|| generations.past.get(&session));
        written.is_some_and(|written| now.since(written.at) < within && !than.has_version(written.version))
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_write_of_a_session_is_known_for_some_time_and_memory_is_bounded() {
        let (recent, start) = (Recent::default(), Timestamp::from_millis(1_000_000));
        let old = Header::new(start, Timestamp::MAX, Timestamp::MAX);
        let new = old.next();
        assert!(!recent.has_newer(1, &old, start, OVERLAP));
        recent.note(1, new.version(), start);
        assert!(recent.has_newer(1, &old, start, OVERLAP));
        assert!(
            !recent.has_newer(1, &new, start, OVERLAP) && !recent.has_newer(1, &new.next(), start, OVERLAP)
        );
        assert!(!recent.has_newer(2, &old, start, OVERLAP), "another session");
        let later = start.after(OVERLAP);
        assert!(!recent.has_newer(1, &old, later, OVERLAP));
        for session in 0..200_000 {
            recent.note(session, new.version(), later);
        }
        let generations = recent.lock();
        assert!(generations.present.len() + generations.past.len() <= MAX_WRITES);
        assert!(generations.present.contains_key(&199_999));
    }
}
