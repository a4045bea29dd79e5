//! All shards: assigns ids to them, counts sessions, and makes room in a full store.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::clock::Timestamp;
use session_core::id::StorageId;

use crate::Eviction;
use crate::owners::Owners;
use crate::queue::{HASH_BITS, Kind, due_at};
use crate::shard::Shard;

/// The maximum number of shards. With 10 million sessions a shard has 2,500, and its table doubles
/// well within a millisecond.
const MOST_SHARDS: usize = 4096;
/// The number of sessions per shard of a bounded store, which has fewer shards, so that finding a
/// session to evict stays cheap.
const SESSIONS_IN_A_SHARD: usize = 64;
/// The number of records that are checked under one lock: some tens of microseconds.
pub(crate) const BATCH: usize = 128;
/// The number of recently used sessions that are skipped before one is evicted anyway.
const SECOND_CHANCES: usize = 8;

pub(crate) struct Store {
    shards: Box<[Mutex<Shard>]>,
    /// The heads of each shard's queues, so that finding due sessions takes no lock: it reads at
    /// most 96 KB. They change under the shard's lock, and are only a hint without it.
    heads: Box<[Heads]>,
    /// Randomly keyed: a client chooses a plain id, and must not be able to choose its position in
    /// a table.
    hasher: RandomState,
    pub owners: Owners,
    /// The number of sessions in the shards, including expired ones that were not collected, but
    /// not tombstones.
    sessions: AtomicUsize,
    max: usize,
    eviction: Eviction,
}

/// The heads by [`Kind`], in milliseconds; `u64::MAX` for an empty queue.
type Heads = [AtomicU64; 3];

/// A locked shard, which publishes changed heads of its queues before it is unlocked.
pub(crate) struct Locked<'a> {
    shard: MutexGuard<'a, Shard>,
    heads: &'a Heads,
}

impl Deref for Locked<'_> {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.shard.heads_changed() {
            for kind in Kind::ALL {
                let head = self.shard.earliest(kind).map_or(u64::MAX, Timestamp::as_millis);
                self.heads[kind as usize].store(head, Relaxed);
            }
        }
    }
}

/// The result of a step to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Room for a session was made.
    Made,
    /// The records that had come due were in use; there may be others.
    Searching,
    /// There is no room.
    None,
}

/// The hash and the shard of an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    pub hash: u32,
    pub shard: usize,
}

impl Store {
    pub(crate) fn new(max: Option<usize>, eviction: Eviction) -> Self {
        let wanted = max.map_or(MOST_SHARDS, |max| max / SESSIONS_IN_A_SHARD);
        let shards = wanted.clamp(1, MOST_SHARDS).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            heads: (0..shards).map(|_| [const { AtomicU64::new(u64::MAX) }; 3]).collect(),
            hasher: RandomState::new(),
            owners: Owners::new(),
            sessions: AtomicUsize::new(0),
            max: max.unwrap_or(usize::MAX),
            eviction,
        }
    }

    pub(crate) fn locate(&self, id: &StorageId) -> Location {
        let hash = match id.as_bytes().first_chunk() {
            // Already a hash. A client can choose the id of a lookup, but not of a stored record,
            // because ids are drawn here.
            Some(first) if id.as_plain().is_none() => u64::from_le_bytes(*first),
            _ => self.hasher.hash_one(id.as_bytes()),
        };
        // The shard and its table use different bits, or every table would use only a few of its
        // slots.
        let shard = usize::try_from(hash >> 32).unwrap_or_default() & (self.shards.len() - 1);
        Location { hash: u32::try_from(hash & ((1 << HASH_BITS) - 1)).unwrap_or_default(), shard }
    }

    pub(crate) fn lock(&self, shard: usize) -> Locked<'_> {
        let heads = &self.heads[shard];
        Locked { shard: self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner), heads }
    }

    /// Locks the shards of two ids, always in the same order; the second is `None` if both share
    /// one.
    pub(crate) fn lock_both(&self, a: Location, b: Location) -> (Locked<'_>, Option<Locked<'_>>) {
        match a.shard.cmp(&b.shard) {
            Ordering::Equal => (self.lock(a.shard), None),
            Ordering::Less => {
                let first = self.lock(a.shard);
                (first, Some(self.lock(b.shard)))
            }
            Ordering::Greater => {
                let second = self.lock(b.shard);
                (self.lock(a.shard), Some(second))
            }
        }
    }

    pub(crate) const fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    /// Returns whether a session may be evicted to make room for another one.
    pub(crate) fn evicts(&self) -> bool {
        self.eviction != Eviction::Refuse
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Relaxed)
    }

    /// Counts one more session, if there is room for it.
    pub(crate) fn reserve(&self) -> bool {
        let one_more = |sessions| (sessions < self.max).then_some(sessions + 1);
        self.sessions.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// Counts sessions that were removed.
    pub(crate) fn gone(&self, sessions: usize) {
        if sessions > 0 {
            self.sessions.fetch_sub(sessions, Relaxed);
        }
    }

    /// Removes up to a batch of expired records from one shard. Returns their number, and whether
    /// there may be more.
    pub(crate) fn sweep(&self, shard: usize, now: Timestamp, steps: usize) -> (usize, bool) {
        let mut locked = self.lock(shard);
        let swept = locked.sweep(now, steps);
        for (id, record) in &swept.removed {
            self.owners.changed(id, Some(record), None);
        }
        drop(locked);
        self.gone(swept.removed.iter().filter(|(_, record)| record.is_live()).count());
        (swept.removed.len(), swept.more)
    }

    /// Makes one step to free room for a session in a full store: removes expired records or, if
    /// there are none and eviction is configured, one that was not used for long. It checks at most
    /// a batch of records, so that it is short.
    pub(crate) fn make_room(&self, now: Timestamp) -> Room {
        for chance in (0..=SECOND_CHANCES).rev() {
            let [anonymous, owned] = [Kind::Anonymous, Kind::Owned].map(|kind| self.earliest(kind));
            let due = anonymous.into_iter().chain(owned).find(|(time, _)| *time <= due_at(now).as_millis());
            if let Some((_, shard)) = due {
                let removed = self.sweep(shard, now, BATCH).0;
                return if removed > 0 && self.sessions() < self.max { Room::Made } else { Room::Searching };
            }
            let victim = match self.eviction {
                Eviction::Refuse => None,
                Eviction::AnonymousFirst => anonymous
                    .map(|(_, shard)| (shard, Kind::Anonymous))
                    .or(owned.map(|(_, shard)| (shard, Kind::Owned))),
            };
            let Some((shard, kind)) = victim else { return Room::None };
            let mut locked = self.lock(shard);
            if let Some((id, record)) = locked.evict(kind, chance > 0) {
                self.owners.changed(&id, Some(&record), None);
                drop(locked);
                self.gone(1);
                return Room::Made;
            }
        }
        Room::Searching
    }

    /// Returns whether a shard may have expired records.
    pub(crate) fn is_due(&self, shard: usize, now: Timestamp) -> bool {
        self.heads[shard].iter().any(|head| head.load(Relaxed) <= now.as_millis())
    }

    /// Returns the time under which the first session of a kind is filed, and its shard.
    fn earliest(&self, kind: Kind) -> Option<(u64, usize)> {
        let heads = self.heads.iter().map(|heads| heads[kind as usize].load(Relaxed));
        heads.zip(0..).min().filter(|(time, _)| *time < u64::MAX)
    }
}

/// A line, and not the shards: a manager, which prints its engine, is often printed as a part of
/// something else.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("sessions", &self.sessions())
            .field("max", &self.max)
            .field("eviction", &self.eviction)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use session_core::id::Token;

    use super::*;

    fn ids(of: impl Fn(&str) -> StorageId) -> Vec<StorageId> {
        (0..1_000).map(|number| of(&format!("session-{number}-of-a-client"))).collect()
    }

    #[test]
    fn sessions_spread_over_the_shards_and_in_their_tables() {
        let store = Store::new(None, Eviction::Refuse);
        for ids in [
            ids(|text| StorageId::of(&Token::new(text).expect("a token"))),
            ids(|text| StorageId::plain(text).expect("a plain id")),
        ] {
            let found: Vec<_> = ids.iter().map(|id| store.locate(id)).collect();
            let shards: HashSet<_> = found.iter().map(|at| at.shard).collect();
            let hashes: HashSet<_> = found.iter().map(|at| at.hash).collect();
            assert!(shards.len() > 700 && hashes.len() > 990, "{} and {}", shards.len(), hashes.len());
        }
    }

    /// A client that chooses its id would otherwise choose where it is stored.
    #[test]
    fn plain_ids_are_in_other_places_in_every_process() {
        let [one, other] = [(); 2].map(|()| Store::new(None, Eviction::Refuse));
        let ids = ids(|text| StorageId::plain(text).expect("a plain id"));
        let same = ids.iter().filter(|id| one.locate(id).hash == other.locate(id).hash).count();
        assert!(same < 10, "{same} of {}", ids.len());
    }

    #[test]
    fn a_store_is_printed_as_its_settings_and_the_number_of_its_sessions() {
        let store = Store::new(Some(7), Eviction::AnonymousFirst);
        assert!(store.reserve());
        let printed = "Store { sessions: 1, max: 7, eviction: AnonymousFirst, .. }";
        assert_eq!(format!("{store:?}"), printed);
    }
}
