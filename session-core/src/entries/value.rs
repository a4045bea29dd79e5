//! The encoding of the index of an owner.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::Cursor;
use crate::{Error, ErrorKind, Result};

const FORMAT: u8 = 1;
/// The age from which an entry without a record is removed: the record of a younger one may be
/// about to be written. It is measured by the clocks of two processes.
const SETTLED: Duration = Duration::from_secs(300);
/// An entry is removed without a check when its session ended this long ago.
const PAST: Duration = Duration::from_secs(3_600);

/// The sessions of an owner, in the order of their ids. The encoded form is replaced as a whole,
/// and takes 51 bytes for each session with a hashed id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerEntries(BTreeMap<Box<[u8]>, Entry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    absolute: Timestamp,
    made: Timestamp,
}

impl OwnerEntries {
    /// Decodes an index. [`Corrupt`](ErrorKind::Corrupt) when it is not one,
    /// [`Unsupported`](ErrorKind::Unsupported) when it has a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
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

    /// Encodes the index.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
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

    /// Creates the entry of a session, before its record is written, and removes entries of
    /// sessions that ended long ago. Returns whether the index must be stored.
    pub(super) fn enter(&mut self, id: &StorageId, absolute: Timestamp, now: Timestamp) -> bool {
        let id = Cursor::after(id).0;
        // An entry that a reader may be removing is replaced, so that the reader's write fails.
        if self.0.get(&id).is_some_and(|entry| entry.absolute == absolute && !is_settled(entry, now)) {
            return false;
        }
        self.0.retain(|_, entry| now.since(entry.absolute) < PAST);
        self.0.insert(id, Entry { absolute, made: now });
        true
    }

    /// Removes the entries of sessions that do not exist, or have another owner, except for entries
    /// that were just created. Returns whether the index must be stored.
    pub(super) fn leave(&mut self, ids: &[StorageId], now: Timestamp) -> bool {
        let before = self.0.len();
        for id in ids {
            let id = Cursor::after(id).0;
            if self.0.get(&id).is_some_and(|entry| is_settled(entry, now)) {
                self.0.remove(&id);
            }
        }
        self.0.len() < before
    }

    /// Returns whether a session has an entry.
    pub(super) fn has(&self, id: &StorageId) -> bool {
        self.0.contains_key(&Cursor::after(id).0)
    }

    /// Returns up to `limit` sessions after a cursor, and the cursor of the next page.
    pub(super) fn page(
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

    /// Returns how long the index must be stored.
    #[must_use]
    pub fn lifetime(&self, now: Timestamp) -> Duration {
        let longest = self.0.values().map(|entry| entry.absolute.since(now)).max();
        longest.unwrap_or_default().saturating_add(PAST)
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn is_settled(entry: &Entry, now: Timestamp) -> bool {
    now.since(entry.made) >= SETTLED
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
    fn an_index_survives_the_round_trip_and_other_bytes_are_refused() {
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
    fn settled_entries_are_removed_when_unused_and_past_ones_always() {
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
    fn pages_have_each_session_once() {
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
}
