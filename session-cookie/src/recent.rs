//! What this process has written lately.
//!
//! A browser sends requests side by side with one cookie. When a form among them changes the session and an image only
//! reads it, a cookie that is issued again for the image would take the change back. Nobody but the client holds the
//! record, so all that can be known is what this process has written itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::clock::Timestamp;
use session_core::record::{Header, Version};

use crate::seal::SessionId;

/// For how long a request may be under way with a cookie that has been replaced.
pub(crate) const OVERLAP: Duration = Duration::from_secs(60);

/// When this many sessions were written, the older half is forgotten before its time. They take about 3 MB.
const MOST: usize = 64 << 10;

/// The latest write of each session. Bounded in time and in number.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Generations>);

/// Two generations of writes, so that forgetting costs nothing: the older one is dropped as a whole.
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
    /// Takes note of a write that has put something else in the place of a session's token, or has ended it.
    pub(crate) fn note(&self, session: SessionId, version: Version, now: Timestamp) {
        let mut generations = self.lock();
        if now.since(generations.begun) >= OVERLAP || generations.present.len() >= MOST / 2 {
            generations.past = std::mem::take(&mut generations.present);
            generations.begun = now;
        }
        generations.present.insert(session, Written { version, at: now });
    }

    /// Whether there was a write, within this time, that a record with this history does not contain.
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
    fn the_latest_write_of_a_session_is_known_for_a_while_and_memory_is_bounded() {
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
        assert!(generations.present.len() + generations.past.len() <= MOST);
        assert!(generations.present.contains_key(&199_999));
    }
}
