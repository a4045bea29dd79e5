//! When to look at which session: the order in which a shard's sessions come due.

use std::collections::VecDeque;
use std::mem;

use session_core::clock::Timestamp;
use session_core::record::{Record, State};

/// How many bits of a session's hash are kept: enough for the table of one shard.
pub(crate) const HASH_BITS: u32 = 22;
/// The other 42 bits are milliseconds, until the year 2109. What ends later is filed there, and never comes due.
const LATEST: u64 = (1 << (64 - HASH_BITS)) - 1;
/// Sessions that end at one time are filed a little before it; so many milliseconds before the last one are reserved.
const RESERVED: u64 = 60_000;

/// Up to which filed time sessions are due: where times are not told apart any more, none is, or those that live
/// would be looked at again and again.
pub(crate) fn due_at(now: Timestamp) -> Timestamp {
    now.min(Timestamp::from_millis(LATEST - RESERVED))
}

/// A time, and the hash of the session that comes due at it, in 8 bytes: every session has one of these twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due(u64);

impl Due {
    fn new(time: Timestamp, hash: u32) -> Self {
        Self(time.as_millis().min(LATEST) << HASH_BITS | u64::from(hash))
    }

    pub(crate) const fn time(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> HASH_BITS)
    }

    #[allow(clippy::cast_possible_truncation)] // The bits of a hash are fewer than 32.
    pub(crate) const fn hash(self) -> u32 {
        (self.0 & ((1 << HASH_BITS) - 1)) as u32
    }
}

/// The queues that sessions are filed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Anonymous,
    Owned,
    Tombstone,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Anonymous, Self::Owned, Self::Tombstone];

    pub(crate) const fn of(record: &Record) -> Self {
        match (&record.header.state, record.header.owner) {
            (State::Live, None) => Self::Anonymous,
            (State::Live, Some(_)) => Self::Owned,
            _ => Self::Tombstone,
        }
    }
}

/// Sorted. A new session nearly always ends after all the others, so that it goes to the end and nothing is searched;
/// what belongs elsewhere moves at most half of a shard's queue, 8 bytes for each session.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_kind: [VecDeque<Due>; 3],
    heads_changed: bool,
}

impl Queues {
    /// Files a session under a time, or a little before it where its place is taken.
    pub(crate) fn insert(&mut self, kind: Kind, time: Timestamp, hash: u32) -> Due {
        let queue = &mut self.by_kind[kind as usize];
        let mut due = Due::new(time, hash);
        if queue.back().is_some_and(|last| *last < due) {
            queue.push_back(due);
            return due;
        }
        let mut place = queue.binary_search(&due);
        while place.is_ok() && due.0 >> HASH_BITS > 0 {
            due = Due(due.0 - (1 << HASH_BITS));
            place = queue.binary_search(&due);
        }
        if let Err(place) = place {
            queue.insert(place, due);
            self.heads_changed |= place == 0;
        }
        due
    }

    pub(crate) fn remove(&mut self, kind: Kind, due: Due) {
        let queue = &mut self.by_kind[kind as usize];
        if let Ok(place) = queue.binary_search(&due) {
            queue.remove(place);
            self.heads_changed |= place == 0;
        }
    }

    pub(crate) fn first(&self, kind: Kind) -> Option<Due> {
        self.by_kind[kind as usize].front().copied()
    }

    pub(crate) fn pop(&mut self, kind: Kind) -> Option<Due> {
        self.heads_changed = true;
        self.by_kind[kind as usize].pop_front()
    }

    /// Whether what comes first in a queue has changed since this was last asked.
    pub(crate) fn heads_changed(&mut self) -> bool {
        mem::take(&mut self.heads_changed)
    }

    /// Gives back the memory of a flood that is over.
    pub(crate) fn shrink(&mut self) {
        for queue in &mut self.by_kind {
            if queue.capacity() > 64 + 4 * queue.len() {
                queue.shrink_to(2 * queue.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_time_and_one_hash_each_have_a_place() {
        let (mut queues, time) = (Queues::default(), Timestamp::from_millis(5));
        let filed = [(); 3].map(|()| queues.insert(Kind::Owned, time, 7));
        assert_eq!(filed.map(|due| (due.time().as_millis(), due.hash())), [(5, 7), (4, 7), (3, 7)]);
        assert_eq!(queues.pop(Kind::Owned), Some(filed[2]));
        assert!(queues.first(Kind::Anonymous).is_none());
    }

    #[test]
    fn the_ends_of_time_are_places_as_well() {
        let mut queues = Queues::default();
        for time in [Timestamp::from_millis(0), Timestamp::from_millis(0), Timestamp::MAX, Timestamp::MAX] {
            let due = queues.insert(Kind::Owned, time, (1 << HASH_BITS) - 1);
            assert!(due.time() <= time && due.hash() == (1 << HASH_BITS) - 1);
        }
    }

    #[test]
    fn the_memory_of_a_flood_is_given_back_but_for_some_room() {
        let mut queues = Queues::default();
        for millis in 0..1_000 {
            queues.insert(Kind::Owned, Timestamp::from_millis(millis), 7);
        }
        for left in [250, 100] {
            while queues.by_kind[Kind::Owned as usize].len() > left {
                queues.pop(Kind::Owned);
            }
            let before = queues.by_kind[Kind::Owned as usize].capacity();
            queues.shrink();
            let after = queues.by_kind[Kind::Owned as usize].capacity();
            let expected = if left == 100 { 200 } else { before };
            assert_eq!(after, expected, "of {before} with {left} in use");
        }
    }
}
