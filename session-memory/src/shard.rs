//! One shard: a table of sessions and, beside it, when to look at which of them.
//!
//! The deadlines are filed lazily. A session is filed under a deadline that it does not end before, and
//! stays there while it is used; only when that time comes it is looked at and, if it was used, filed anew. So a
//! read touches no ordered structure, and what collecting costs depends on what has come due.

use std::collections::BTreeSet;
use std::mem;

use hashbrown::HashTable;
use session_core::{Record, State, StorageId, Timestamp};

/// What is stored under one id.
#[derive(Debug)]
struct Entry {
    id: StorageId,
    record: Record,
    /// Under which time it is filed: never later than the record's deadlines.
    filed: Timestamp,
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

/// The hash stands beside the pointer so that a growing table does not have to follow it.
#[derive(Debug)]
struct Slot {
    hash: u64,
    entry: Box<Entry>,
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    sessions: HashTable<Slot>,
    /// Times and hashes, one queue for each [`Kind`]. Two sessions of one time and one hash (of 64 keyed bits)
    /// would share a place, and one of them would stay until it is used again or replaced: not worth a byte.
    filed: Queues,
}

#[derive(Debug, Default)]
struct Queues {
    by_kind: [BTreeSet<(Timestamp, u64)>; 3],
    changed: bool,
}

impl Queues {
    fn insert(&mut self, kind: Kind, time: Timestamp, hash: u64) {
        self.by_kind[kind as usize].insert((time, hash));
        self.changed = true;
    }

    fn remove(&mut self, kind: Kind, time: Timestamp, hash: u64) {
        self.by_kind[kind as usize].remove(&(time, hash));
        self.changed = true;
    }

    fn pop(&mut self, kind: Kind) -> Option<(Timestamp, u64)> {
        self.changed = true;
        self.by_kind[kind as usize].pop_first()
    }

    /// Moves a record that was of kind `was` to where it belongs now.
    fn refile(&mut self, was: Kind, hash: u64, entry: &mut Entry) {
        self.remove(was, entry.filed, hash);
        entry.filed = ends(&entry.record);
        self.insert(Kind::of(&entry.record), entry.filed, hash);
    }
}

/// What a sweep over one shard did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// What was removed, to be dropped when the lock is not held any more.
    pub removed: Vec<Record>,
    /// Whether there may be more to do.
    pub more: bool,
}

impl Shard {
    /// What is stored under an id and has not expired.
    pub(crate) fn alive(&self, hash: u64, id: &StorageId, now: Timestamp) -> Option<&Record> {
        self.get(hash, id).filter(|record| record.is_alive_at(now))
    }

    /// What is stored under an id, expired or not.
    pub(crate) fn get(&self, hash: u64, id: &StorageId) -> Option<&Record> {
        self.sessions.find(hash, is(hash, id)).map(|slot| &slot.entry.record)
    }

    /// Reads what is alive, and moves the idle deadline of a session.
    pub(crate) fn slide(
        &mut self,
        hash: u64,
        id: &StorageId,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Option<Record> {
        let entry = &mut self.sessions.find_mut(hash, is(hash, id))?.entry;
        if !entry.record.is_alive_at(now) {
            return None;
        }
        if entry.record.is_live() {
            let header = &mut entry.record.header;
            header.deadline = deadline.min(header.absolute);
            if header.deadline < entry.filed {
                let kind = Kind::of(&entry.record);
                self.filed.refile(kind, hash, entry);
            }
        }
        Some(entry.record.clone())
    }

    /// Stores a record, and gives back the one that it replaces.
    pub(crate) fn put(&mut self, hash: u64, id: &StorageId, record: Record) -> Option<Record> {
        if let Some(slot) = self.sessions.find_mut(hash, is(hash, id)) {
            let before = mem::replace(&mut slot.entry.record, record);
            let entry = &mut slot.entry;
            let (was, is) = (Kind::of(&before), Kind::of(&entry.record));
            if was != is || ends(&entry.record) < entry.filed {
                self.filed.refile(was, hash, entry);
            }
            return Some(before);
        }
        let filed = ends(&record);
        self.filed.insert(Kind::of(&record), filed, hash);
        let entry = Box::new(Entry { id: id.clone(), record, filed });
        self.sessions.insert_unique(hash, Slot { hash, entry }, |slot| slot.hash);
        None
    }

    /// Removes what is stored under an id.
    pub(crate) fn remove(&mut self, hash: u64, id: &StorageId) -> Option<Record> {
        let entry = self.sessions.find_entry(hash, is(hash, id)).ok()?.remove().0.entry;
        self.filed.remove(Kind::of(&entry.record), entry.filed, hash);
        Some(entry.record)
    }

    /// Whether a queue has changed since this was last asked.
    pub(crate) fn queues_changed(&mut self) -> bool {
        mem::take(&mut self.filed.changed)
    }

    /// The earliest time in a queue: nothing of that kind ends before it.
    pub(crate) fn earliest(&self, kind: Kind) -> Option<Timestamp> {
        self.filed.by_kind[kind as usize].first().map(|(time, _)| *time)
    }

    /// Looks at up to `steps` records that have come due: removes those that have expired, files the others anew.
    pub(crate) fn sweep(&mut self, now: Timestamp, steps: usize) -> Swept {
        let mut swept = Swept::default();
        let mut left = steps;
        for kind in Kind::ALL {
            while self.earliest(kind).is_some_and(|time| time <= now) {
                if left == 0 {
                    swept.more = true;
                    return swept;
                }
                left -= 1;
                swept.removed.extend(self.take_first(kind, |record| !record.is_alive_at(now)));
            }
        }
        self.shrink();
        swept
    }

    /// Removes the first session in a queue, unless it was used since it was filed: then it goes to a later place
    /// (a second chance), and the answer is `None`.
    pub(crate) fn evict(&mut self, kind: Kind, second_chance: bool) -> Option<Record> {
        let filed = self.earliest(kind)?;
        self.take_first(kind, |record| !second_chance || ends(record) <= filed)
    }

    /// Takes the first of a queue out of it: removes the session if `ends_now` says so, else files it anew.
    fn take_first(&mut self, kind: Kind, ends_now: impl Fn(&Record) -> bool) -> Option<Record> {
        let (filed, hash) = self.filed.pop(kind)?;
        let due = |slot: &Slot| {
            slot.hash == hash && slot.entry.filed == filed && Kind::of(&slot.entry.record) == kind
        };
        let mut slot = self.sessions.find_entry(hash, due).ok()?;
        if ends_now(&slot.get().entry.record) {
            return Some(slot.remove().0.entry.record);
        }
        let entry = &mut slot.get_mut().entry;
        entry.filed = ends(&entry.record);
        self.filed.insert(kind, entry.filed, hash);
        None
    }

    /// Gives back the memory of a flood that is over.
    fn shrink(&mut self) {
        let sessions = self.sessions.len();
        if self.sessions.capacity() > 64 + 4 * sessions {
            self.sessions.shrink_to(2 * sessions, |slot| slot.hash);
        }
    }
}

/// When a record ends if nobody uses it.
fn ends(record: &Record) -> Timestamp {
    record.header.deadline.min(record.header.absolute)
}

fn is(hash: u64, id: &StorageId) -> impl Fn(&Slot) -> bool {
    move |slot| slot.hash == hash && slot.entry.id == *id
}
