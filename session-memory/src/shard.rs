//! One shard: a table of sessions, and the queues of their deadlines.
//!
//! The deadlines are filed lazily. A session is filed under a time that is not after its deadline,
//! and stays there while it is used; only when that time comes is it checked and, if it was used,
//! filed again. So a read changes no ordered structure, and the cost of a collection depends on the
//! number of sessions that have come due.

use std::mem;

use hashbrown::HashTable;
use session_core::clock::Timestamp;
use session_core::id::StorageId;
use session_core::record::Record;

use crate::queue::{Due, Kind, Queues, due_at};

/// The record under one id.
#[derive(Debug)]
struct Entry {
    id: StorageId,
    record: Record,
    /// Its position in the queues: a time that is never later than the record's deadlines.
    filed: Due,
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    sessions: HashTable<Box<Entry>>,
    filed: Queues,
}

/// The result of a sweep over one shard.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// The removed records, to be dropped after the lock is released.
    pub removed: Vec<(StorageId, Record)>,
    /// Whether there may be more to remove.
    pub more: bool,
}

impl Shard {
    /// Returns the record under an id, unless it has expired.
    pub(crate) fn alive(&self, hash: u32, id: &StorageId, now: Timestamp) -> Option<&Record> {
        self.get(hash, id).filter(|record| record.is_alive_at(now))
    }

    /// Returns the record under an id, expired or not.
    pub(crate) fn get(&self, hash: u32, id: &StorageId) -> Option<&Record> {
        self.sessions.find(spread(hash), is(id)).map(|entry| &entry.record)
    }

    /// Reads an unexpired record, and extends the idle deadline of a session.
    pub(crate) fn slide(
        &mut self,
        hash: u32,
        id: &StorageId,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Option<Record> {
        let entry = self.sessions.find_mut(spread(hash), is(id))?;
        if !entry.record.is_alive_at(now) {
            return None;
        }
        if entry.record.is_live() {
            let header = &mut entry.record.header;
            header.deadline = deadline.min(header.absolute);
            if header.deadline < entry.filed.time() {
                entry.refile(&mut self.filed, Kind::of(&entry.record));
            }
        }
        Some(entry.record.clone())
    }

    /// Stores a record, and returns the one that it replaces.
    pub(crate) fn put(&mut self, hash: u32, id: &StorageId, record: Record) -> Option<Record> {
        if let Some(entry) = self.sessions.find_mut(spread(hash), is(id)) {
            let before = mem::replace(&mut entry.record, record);
            let was = Kind::of(&before);
            if was != Kind::of(&entry.record) || ends(&entry.record) < entry.filed.time() {
                entry.refile(&mut self.filed, was);
            }
            return Some(before);
        }
        let filed = self.filed.insert(Kind::of(&record), ends(&record), hash);
        let entry = Box::new(Entry { id: id.clone(), record, filed });
        self.sessions.insert_unique(spread(hash), entry, |entry| spread(entry.filed.hash()));
        None
    }

    /// Removes the record under an id.
    pub(crate) fn remove(&mut self, hash: u32, id: &StorageId) -> Option<Record> {
        let entry = self.sessions.find_entry(spread(hash), is(id)).ok()?.remove().0;
        self.filed.remove(Kind::of(&entry.record), entry.filed);
        Some(entry.record)
    }

    /// Returns up to `limit` records, expired or not, in the order of their ids.
    pub(crate) fn walk(&self, after: Option<&StorageId>, limit: usize) -> Vec<(StorageId, Record)> {
        let is_later = |entry: &Entry| after.is_none_or(|after| entry.id > *after);
        let mut entries: Vec<_> = self.sessions.iter().filter(|entry| is_later(entry)).collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries.into_iter().take(limit).map(|entry| (entry.id.clone(), entry.record.clone())).collect()
    }

    /// Returns whether the earliest time in a queue has changed since the last call.
    pub(crate) fn heads_changed(&mut self) -> bool {
        self.filed.heads_changed()
    }

    /// Returns the earliest time in a queue: no record of that kind ends before it.
    pub(crate) fn earliest(&self, kind: Kind) -> Option<Timestamp> {
        self.filed.first(kind).map(Due::time)
    }

    /// Checks up to `steps` records that have come due: removes expired ones, and files the others
    /// again.
    pub(crate) fn sweep(&mut self, now: Timestamp, steps: usize) -> Swept {
        let mut swept = Swept::default();
        let mut left = steps;
        for kind in Kind::ALL {
            while self.earliest(kind).is_some_and(|time| time <= due_at(now)) {
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

    /// Removes the first session in a queue, unless it was used since it was filed: then it is
    /// filed later (a second chance), and the result is `None`.
    pub(crate) fn evict(&mut self, kind: Kind, second_chance: bool) -> Option<(StorageId, Record)> {
        let filed = self.earliest(kind)?;
        self.take_first(kind, |record| !second_chance || ends(record) <= filed)
    }

    /// Pops the first session of a queue: removes it if `ends_now` returns true, otherwise files it
    /// again.
    fn take_first(&mut self, kind: Kind, ends_now: impl Fn(&Record) -> bool) -> Option<(StorageId, Record)> {
        let due = self.filed.pop(kind)?;
        let is_it = |entry: &Entry| entry.filed == due && Kind::of(&entry.record) == kind;
        let mut found = self.sessions.find_entry(spread(due.hash()), |entry| is_it(entry)).ok()?;
        let entry = found.get_mut();
        if ends_now(&entry.record) {
            let Entry { id, record, .. } = *found.remove().0;
            return Some((id, record));
        }
        entry.filed = self.filed.insert(kind, ends(&entry.record), due.hash());
        None
    }

    /// Releases memory after a flood of sessions.
    fn shrink(&mut self) {
        let sessions = self.sessions.len();
        if self.sessions.capacity() > 64 + 4 * sessions {
            self.sessions.shrink_to(2 * sessions, |entry| spread(entry.filed.hash()));
        }
        self.filed.shrink();
    }
}

impl Entry {
    /// Moves a record that was of kind `was` to its current position.
    fn refile(&mut self, queues: &mut Queues, was: Kind) {
        queues.remove(was, self.filed);
        self.filed = queues.insert(Kind::of(&self.record), ends(&self.record), self.filed.hash());
    }
}

/// Returns when a record ends if it is not used.
fn ends(record: &Record) -> Timestamp {
    record.header.deadline.min(record.header.absolute)
}

fn is(id: &StorageId) -> impl Fn(&Box<Entry>) -> bool {
    move |entry| entry.id == *id
}

/// Spreads the kept bits of a hash over all bits that a table uses.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::id::Token;
    use session_core::record::{Body, Header};

    use super::*;

    #[test]
    fn the_table_of_a_flood_is_given_back_but_for_some_room() {
        let (mut shard, now) = (Shard::default(), Timestamp::from_millis(1_000));
        let ids: Vec<_> =
            (0..1_000).map(|n| StorageId::of(&Token::new(&n.to_string()).expect("a token"))).collect();
        let later = now.after(Duration::from_secs(60));
        for (hash, id) in (0..).zip(&ids) {
            shard.put(hash, id, Record::new(Header::new(now, later, later), Body::default()));
        }
        let full = shard.sessions.capacity();
        for (hash, id) in (0..).zip(&ids) {
            let left = shard.sessions.len();
            if left == 440 {
                shard.sweep(now, 1);
                assert_eq!(shard.sessions.capacity(), full, "a quarter of it is in use");
            }
            if left == 100 {
                shard.sweep(now, 1);
                let capacity = shard.sessions.capacity();
                assert!((200..=64 + 400).contains(&capacity), "{capacity} of {full}");
                break;
            }
            assert!(shard.remove(hash, id).is_some());
        }
    }

    /// Two of many sessions may have the same kept bits of their hashes.
    #[test]
    fn what_comes_due_is_the_session_that_was_filed_not_another_one_of_its_hash() {
        let (now, soon) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let late = now.after(Duration::from_secs(60));
        let [a, b] = ["a", "b"].map(|token| StorageId::of(&Token::new(token).expect("a token")));
        for in_order in [true, false] {
            let mut shard = Shard::default();
            let mut both = [(&a, soon), (&b, late)];
            if !in_order {
                both.reverse();
            }
            for (id, deadline) in both {
                shard.put(7, id, Record::new(Header::new(now, late, deadline), Body::default()));
            }
            let swept = shard.sweep(soon, 10);
            assert_eq!(swept.removed.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&a]);
            assert!(shard.get(7, &a).is_none() && shard.get(7, &b).is_some());
        }
    }
}
