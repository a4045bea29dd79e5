//! The index of an owner as one value, for engines that store a value under a key and compare it by a token.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use session_core::clock::Timestamp;
use session_core::engine::Cursor;
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};

const FORMAT: u8 = 1;
/// The age from which on an entry without a record is removed: a younger one's record may be about to be written. It
/// is measured by the clocks of two processes.
const SETTLED: Duration = Duration::from_secs(300);
/// An entry is removed unseen when its session ended so long ago.
const PAST: Duration = Duration::from_secs(3_600);

/// The sessions of an owner, as bytes that are replaced as a whole when nobody else has: 51 for each session with a
/// hashed id. In the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnerEntries(BTreeMap<Box<[u8]>, Entry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    absolute: Timestamp,
    made: Timestamp,
}

impl OwnerEntries {
    /// Reads an index. [`Corrupt`](ErrorKind::Corrupt) when it is none, [`Unsupported`](ErrorKind::Unsupported) when it is
    /// of a newer version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "it is not an index of an owner");
        let (format, mut rest) = bytes.split_first().ok_or_else(corrupt)?;
        if *format > FORMAT {
            return Err(Error::new(ErrorKind::Unsupported, "the index of an owner has a newer format"));
        }
        let mut entries = BTreeMap::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (id, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(corrupt)?;
            let (absolute, after) = after.split_first_chunk().ok_or_else(corrupt)?;
            let (made, after) = after.split_first_chunk().ok_or_else(corrupt)?;
            let [absolute, made] =
                [absolute, made].map(|time| Timestamp::from_millis(u64::from_be_bytes(*time)));
            entries.insert(id.into(), Entry { absolute, made });
            rest = after;
        }
        if rest.is_empty() { Ok(Self(entries)) } else { Err(corrupt()) }
    }

    /// The index as bytes.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.0.len() * 51);
        out.push(FORMAT);
        for (id, entry) in &self.0 {
            out.extend_from_slice(&u16::try_from(id.len()).unwrap_or(0).to_be_bytes());
            out.extend_from_slice(id);
            for time in [entry.absolute, entry.made] {
                out.extend_from_slice(&time.as_millis().to_be_bytes());
            }
        }
        out
    }

    /// Makes the entry of a session, before its record is written, and removes what ended long ago. Says whether the
    /// index must be stored.
    pub(crate) fn enter(&mut self, id: &StorageId, absolute: Timestamp, now: Timestamp) -> bool {
        let id = Cursor::after(id).0;
        // An entry that may be removed by a reader is made anew, so that its store fails.
        if self.0.get(&id).is_some_and(|entry| entry.absolute == absolute && !is_settled(entry, now)) {
            return false;
        }
        self.0.retain(|_, entry| now.since(entry.absolute) < PAST);
        self.0.insert(id, Entry { absolute, made: now });
        true
    }

    /// Removes the entries of sessions that are not there, or have another owner, but for those that have just been made.
    /// Says whether the index must be stored.
    pub(crate) fn leave(&mut self, ids: &[StorageId], now: Timestamp) -> bool {
        let before = self.0.len();
        for id in ids {
            let id = Cursor::after(id).0;
            if self.0.get(&id).is_some_and(|entry| is_settled(entry, now)) {
                self.0.remove(&id);
            }
        }
        self.0.len() < before
    }

    /// Up to `limit` sessions after a cursor, and where the next page begins.
    pub(crate) fn page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<StorageId>, Option<Cursor>)> {
        let from = match after {
            Some(cursor) => Bound::Excluded(cursor.id().map(|_| cursor.0.clone())?),
            None => Bound::Unbounded,
        };
        let keys: Vec<_> =
            self.0.range((from, Bound::Unbounded)).take(limit).map(|(key, _)| Cursor(key.clone())).collect();
        let next = keys.get(limit.saturating_sub(1)).cloned();
        Ok((keys.iter().filter_map(|key| key.id().ok()).collect(), next))
    }

    /// How long the index must be stored.
    #[must_use]
    pub(crate) fn lifetime(&self, now: Timestamp) -> Duration {
        let longest = self.0.values().map(|entry| entry.absolute.since(now)).max();
        longest.unwrap_or_default().saturating_add(PAST)
    }

    /// How many entries there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn is_settled(entry: &Entry, now: Timestamp) -> bool {
    now.since(entry.made) >= SETTLED
}

/// What a process has seen lately. Bounded in number: two generations, of which the older one is dropped as a whole.
#[derive(Debug)]
pub(crate) struct Lately<K, V>(Mutex<[HashMap<K, V>; 2]>);

/// How many are remembered in each generation.
const MOST: usize = 16 << 10;

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self(Mutex::new([HashMap::new(), HashMap::new()]))
    }
}

impl<K: Hash + Eq, V: Copy> Lately<K, V> {
    /// Takes note.
    pub(crate) fn note(&self, key: K, value: V) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [present, past] = &mut *generations;
        if present.len() >= MOST {
            *past = std::mem::take(present);
        }
        present.insert(key, value);
    }

    /// What was noted last, if it is still known.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.iter().find_map(|generation| generation.get(key)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn id(number: u8) -> StorageId {
        StorageId::from_hash([number; 32])
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mut entries = OwnerEntries::default();
        assert!(
            entries.enter(&id(1), at(100), at(10))
                && entries.enter(&StorageId::plain("a").unwrap(), at(200), at(10))
        );
        let bytes = entries.encode();
        assert_eq!(OwnerEntries::decode(&bytes).unwrap(), entries);
        for length in 2..bytes.len() {
            let read = OwnerEntries::decode(&bytes[..length]);
            assert!(length == 52 || read.is_err(), "{length}");
        }
        assert_eq!(OwnerEntries::decode(&[9]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(OwnerEntries::decode(&[]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(entries.lifetime(at(50)), Duration::from_secs(150) + PAST);
    }

    #[test]
    fn entries_leave_when_they_are_settled_and_go_when_they_have_passed() {
        let mut entries = OwnerEntries::default();
        entries.enter(&id(1), at(100), at(10));
        assert!(!entries.enter(&id(1), at(100), at(11)), "it is there");
        assert!(!entries.leave(&[id(1)], at(309)) && entries.len() == 1);
        assert!(entries.enter(&id(1), at(100), at(310)), "it is made anew");
        assert!(!entries.leave(&[id(1)], at(310)));
        assert!(entries.leave(&[id(1)], at(610)) && entries.len() == 0);
        entries.enter(&id(1), at(100), at(10));
        entries.enter(&id(2), at(9_000), at(3_700));
        assert_eq!(entries.page(None, 10).unwrap().0, [id(2)]);
    }

    #[test]
    fn pages_have_each_session_once_and_the_newest_are_kept() {
        let mut entries = OwnerEntries::default();
        for number in 0..10 {
            entries.enter(&id(number), at(100), at(u64::from(number)));
        }
        for limit in [1, 3, 10, 20] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let (ids, next) = entries.page(after.as_ref(), limit).unwrap();
                found.extend(ids);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, (0..10).map(id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_was_seen_is_forgotten_after_a_while() {
        let lately = Lately::default();
        for number in 0..40_000 {
            lately.note(number, number);
        }
        assert_eq!((lately.get(&39_999), lately.get(&0)), (Some(39_999), None));
    }
}
