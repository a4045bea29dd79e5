//! The queues of a shard: the order in which its sessions come due.

use std::collections::VecDeque;
use std::mem;

use session_core::clock::Timestamp;
use session_core::record::{Record, State};

/// The number of bits of a session's hash that are kept: enough for the table of one shard.
pub(crate) const HASH_BITS: u32 = 22;
/// The other 42 bits are milliseconds, until the year 2109. A session that ends later is filed at
/// that time, and never comes due.
const LATEST: u64 = (1 << (64 - HASH_BITS)) - 1;
/// Sessions with the same deadline are filed slightly before it; this many milliseconds before the
/// latest time are reserved for that.
const RESERVED: u64 = 60_000;

/// Returns the filed time up to which sessions are due. Sessions at the end of the range are never
/// due, because live ones would be checked again and again.
pub(crate) fn due_at(now: Timestamp) -> Timestamp {
    now.min(Timestamp::from_millis(LATEST - RESERVED))
}

/// A time, and the hash of the session that comes due at it, in 8 bytes: every session has two
/// copies of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due(u64);

impl Due {
    fn new(time: Timestamp, hash: u32) -> Self {
        Self(time.as_millis().min(LATEST) << HASH_BITS | u64::from(hash))
    }

    pub(crate) const fn time(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> HASH_BITS)
    }

    #[allow(clippy::cast_possible_truncation)] // A hash has fewer than 32 bits.
    pub(crate) const fn hash(self) -> u32 {
        (self.0 & ((1 << HASH_BITS) - 1)) as u32
    }
}

/// The queues in which sessions are filed.
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

/// The sorted queues. A new session nearly always ends after all others, so it is appended without
/// a search; any other insertion moves at most half of a shard's queue, 8 bytes for each session.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_kind: [VecDeque<Due>; 3],
    heads_changed: bool,
}

impl Queues {
    /// Files a session under a time, or slightly before it if that position is taken.
    pub(crate) fn insert(&mut self, kind: Kind, time: Timestamp, hash: u32) -> Due {
        let queue = &mut self.by_kind[kind as usize];
        let mut due = Due::new(time, hash);
        if queue.back().is_some_and(|last| *last < due) {
            queue.push_back(due);
            return due;
        }
        let mut position = queue.binary_search(&due);
        while position.is_ok() && due.0 >> HASH_BITS > 0 {
            due = Due(due.0 - (1 << HASH_BITS));
            position = queue.binary_search(&due);
        }
        if let Err(position) = position {
            queue.insert(position, due);
            self.heads_changed |= position == 0;
        }
        due
    }

    pub(crate) fn remove(&mut self, kind: Kind, due: Due) {
        let queue = &mut self.by_kind[kind as usize];
        if let Ok(position) = queue.binary_search(&due) {
            queue.remove(position);
            self.heads_changed |= position == 0;
        }
    }

    pub(crate) fn first(&self, kind: Kind) -> Option<Due> {
        self.by_kind[kind as usize].front().copied()
    }

    pub(crate) fn pop(&mut self, kind: Kind) -> Option<Due> {
        self.heads_changed = true;
        self.by_kind[kind as usize].pop_front()
    }

    /// Returns whether the head of a queue has changed since the last call.
    pub(crate) fn heads_changed(&mut self) -> bool {
        mem::take(&mut self.heads_changed)
    }

    /// Releases memory after a flood of sessions.
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
    fn sessions_with_the_same_time_and_hash_have_distinct_positions() {
        let (mut queues, time) = (Queues::default(), Timestamp::from_millis(5));
        let filed = [(); 3].map(|()| queues.insert(Kind::Owned, time, 7));
        assert_eq!(filed.map(|due| (due.time().as_millis(), due.hash())), [(5, 7), (4, 7), (3, 7)]);
        assert_eq!(queues.pop(Kind::Owned), Some(filed[2]));
        assert!(queues.first(Kind::Anonymous).is_none());
    }

    #[test]
    fn a_session_that_was_removed_is_not_first_any_more() {
        let mut queues = Queues::default();
        let [early, late] =
            [5, 6].map(|millis| queues.insert(Kind::Owned, Timestamp::from_millis(millis), 7));
        assert_eq!(queues.first(Kind::Owned), Some(early));
        queues.heads_changed();
        queues.remove(Kind::Owned, late);
        assert!(!queues.heads_changed());
        queues.remove(Kind::Owned, early);
        assert!(queues.heads_changed());
        assert_eq!(queues.first(Kind::Owned), None);
    }

    #[test]
    fn the_earliest_and_the_latest_time_can_be_filed() {
        let mut queues = Queues::default();
        for time in [Timestamp::from_millis(0), Timestamp::from_millis(0), Timestamp::MAX, Timestamp::MAX] {
            let due = queues.insert(Kind::Owned, time, (1 << HASH_BITS) - 1);
            assert!(due.time() <= time && due.hash() == (1 << HASH_BITS) - 1);
            let in_2109 = Timestamp::from_millis(4_390_000_000_000);
            assert!(due.time() >= time.min(in_2109), "a session of years is not due at once");
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
