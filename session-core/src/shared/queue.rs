//! Serializes the commits of one process to one session after their first conflict.
//!
//! The first attempt of a release does not queue, so a session without contention pays nothing.
//! Commits that were refused queue, and each starts from the record that the previous one stored,
//! so its compare-and-set conflicts with other processes only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::id::StorageId;
use crate::record::Record;

#[derive(Debug, Default)]
struct Slot {
    last: Arc<tokio::sync::Mutex<Option<Record>>>,
    /// The number of stored commits.
    progress: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<HashMap<StorageId, Slot>>);

/// The turn of one commit. Dropping it starts the next one.
pub(crate) struct Turn<'a> {
    queue: &'a Queue,
    id: StorageId,
    progress: Arc<AtomicU64>,
    last: Option<OwnedMutexGuard<Option<Record>>>,
}

/// The progress of the commits ahead of a waiting one.
pub(crate) struct Progress {
    count: Arc<AtomicU64>,
    seen: u64,
}

impl Progress {
    /// Returns whether a commit has been stored since.
    pub(crate) fn is_made(&self) -> bool {
        self.count.load(Ordering::Relaxed) != self.seen
    }
}

impl Queue {
    pub(crate) async fn turn(&self, id: &StorageId) -> Turn<'_> {
        let (last, progress) = {
            let mut slots = self.slots();
            let slot = slots.entry(id.clone()).or_default();
            (Arc::clone(&slot.last), Arc::clone(&slot.progress))
        };
        // The turn exists before the wait, so that a cancelled wait cleans up as well.
        let mut turn = Turn { queue: self, id: id.clone(), progress, last: None };
        turn.last = Some(last.lock_owned().await);
        turn
    }

    /// Returns a snapshot of the number of stored commits of this session; `None` if no commit is
    /// queued.
    pub(crate) fn progress(&self, id: &StorageId) -> Option<Progress> {
        let count = Arc::clone(&self.slots().get(id)?.progress);
        let seen = count.load(Ordering::Relaxed);
        Some(Progress { count, seen })
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<StorageId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Returns the record that the previous turn stored, if it follows `seen`.
    pub(crate) fn newer_than(&self, seen: &Record) -> Option<Record> {
        let last = self.last.as_ref()?.as_ref()?;
        follows(last, seen).then(|| last.clone())
    }

    /// Passes the stored record on to the next turn, unless it was stored under another id: its
    /// compare token may coincide with that of the tombstone under this id.
    pub(crate) fn stored(&mut self, id: &StorageId, record: &Record) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if let Some(last) = &mut self.last {
            **last = (*id == self.id).then(|| record.clone());
        }
    }
}

/// Returns whether `last` was written after `seen`, directly or over a later record.
pub(crate) fn follows(last: &Record, seen: &Record) -> bool {
    let version = seen.header.version();
    last.header.version() != version && last.header.has_version(version)
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut slots = self.queue.slots();
        self.last = None;
        // Only the map has a reference: no commit waits, and none can begin to while the map is
        // locked.
        if slots.get(&self.id).is_some_and(|slot| Arc::strong_count(&slot.last) == 1) {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Body, Header};

    #[tokio::test(start_paused = true)]
    async fn turns_come_one_after_the_other_and_leave_nothing_behind() {
        let queue = Queue::default();
        let id = StorageId::from_hash([1; 32]);
        let first = queue.turn(&id).await;
        assert!(tokio::time::timeout(Duration::from_millis(5), queue.turn(&id)).await.is_err());
        drop(first);
        drop(queue.turn(&id).await);
        assert!(queue.slots().is_empty());
    }

    #[tokio::test]
    async fn only_what_was_stored_under_the_same_id_is_left_to_the_next() {
        let queue = Queue::default();
        let (id, other) = (StorageId::from_hash([1; 32]), StorageId::from_hash([2; 32]));
        let start = Timestamp::from_millis(0);
        let seen = Record::new(Header::new(start, Timestamp::MAX, Timestamp::MAX), Body::default());
        let stored = Record::new(seen.header.next(), Body::default());
        for (under, left) in [(&id, true), (&other, false)] {
            let mut turn = queue.turn(&id).await;
            let progress = queue.progress(&id).unwrap();
            turn.stored(under, &stored);
            assert!(progress.is_made());
            assert_eq!(turn.newer_than(&seen).is_some(), left);
        }
    }
}
