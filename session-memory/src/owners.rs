//! The index of owners. It is changed under the lock of the session's shard, so that it agrees with
//! the records, and read without that lock.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::accounts::Owner;
use session_core::id::StorageId;
use session_core::record::Record;

const SHARDS: usize = 256;

type Sessions = HashMap<Owner, BTreeSet<StorageId>>;

#[derive(Debug)]
pub(crate) struct Owners(Box<[Mutex<Sessions>]>);

impl Owners {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Records that the record under `id` was replaced or removed. Costs nothing if the owner stays
    /// the same.
    pub(crate) fn changed(&self, id: &StorageId, before: Option<&Record>, after: Option<&Record>) {
        let (before, after) = (before.and_then(owner), after.and_then(owner));
        if before == after {
            return;
        }
        if let Some(owner) = before {
            let mut sessions = self.lock(&owner);
            if let Some(ids) = sessions.get_mut(&owner) {
                ids.remove(id);
                if ids.is_empty() {
                    sessions.remove(&owner);
                }
            }
        }
        if let Some(owner) = after {
            self.lock(&owner).entry(owner).or_default().insert(id.clone());
        }
    }

    /// Returns up to `limit` sessions of an owner, in the order of their ids.
    pub(crate) fn of(&self, owner: &Owner, after: Option<&StorageId>, limit: usize) -> Vec<StorageId> {
        let sessions = self.lock(owner);
        let Some(ids) = sessions.get(owner) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        ids.range((from, Bound::Unbounded)).take(limit).cloned().collect()
    }

    fn lock(&self, owner: &Owner) -> MutexGuard<'_, Sessions> {
        // The owner is already a hash.
        self.0[usize::from(owner.0[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the owner of a session; a tombstone has none.
fn owner(record: &Record) -> Option<Owner> {
    record.header.owner.filter(|_| record.is_live())
}
