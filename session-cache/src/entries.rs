//! The cached sessions, and the rules for caching them.
//!
//! With two rules the cache never shows a session as it was before this process ended or changed
//! it. With a bus, they also apply to the changes of other processes, from the moment at which
//! their notices arrive:
//!
//! - **A read is cached only if nothing was written meanwhile.** A write, or a notice, detaches the
//!   reads of its session that are in flight: their answers go only to the callers that already
//!   wait for them.
//! - **A write is not cached.** An engine also answers "stored" to a repeated write whose first
//!   answer was lost: there may already be a newer record.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use session_core::ErrorKind;
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::id::StorageId;
use session_core::record::Record;
use tokio::sync::OnceCell;

use crate::Settings;
use crate::bus::Watch;
use crate::rules::{Asked, Busy};

/// The memory of a session in addition to its keys and values: the header, the id, and the cache's
/// own overhead.
const OVERHEAD: usize = 512;
const SHARDS: usize = 64;

/// A cached session.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub record: Record,
    pub asked: Asked,
}

/// The answer to a read of the engine, shared by all callers that wait for it.
pub(crate) type Answer = Result<Option<Record>, (ErrorKind, String)>;

/// A read of the engine in flight.
#[derive(Debug)]
struct Flight {
    asked: Asked,
    answer: OnceCell<Answer>,
    /// The number of callers that wait for the answer. Changed under the lock of the shard.
    readers: AtomicUsize,
}

/// The reads and writes in progress, by session.
type Shard = HashMap<StorageId, Busy<Arc<Flight>>>;

pub(crate) struct Entries {
    kept: Cache<StorageId, Arc<Kept>>,
    busy: [Mutex<Shard>; SHARDS],
    /// Owners whose sessions were ended together, and when.
    ended: Mutex<HashMap<Owner, Timestamp>>,
    hasher: RandomState,
    max_stale: Duration,
    pub(crate) bus: Watch,
}

impl Entries {
    pub(crate) fn new(settings: &Settings, bus: Watch) -> Self {
        let weight = |_: &StorageId, kept: &Arc<Kept>| {
            u32::try_from(OVERHEAD + kept.record.body.bytes()).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .max_capacity(settings.max_bytes)
            .weigher(weight)
            // By the machine's clock, so that unused entries go away; our own clock decides whether
            // an entry is too old.
            .time_to_live(settings.max_stale.saturating_mul(2))
            .build();
        Self {
            kept,
            busy: std::array::from_fn(|_| Mutex::default()),
            ended: Mutex::default(),
            hasher: RandomState::new(),
            max_stale: settings.max_stale,
            bus,
        }
    }

    /// Returns the cached session, if it may be used at this time.
    pub(crate) fn get(&self, id: &StorageId, now: Timestamp) -> Option<Arc<Kept>> {
        let kept = self.kept.get(id)?;
        let may_be_shown = kept.asked.is_new(now, self.max_stale)
            && kept.asked.is_watched(self.bus.epoch())
            && kept.record.is_alive_at(now);
        (may_be_shown && !self.is_ended(&kept)).then_some(kept)
    }

    /// Joins the read of a session that is under way, or begins one.
    pub(crate) fn read<'a>(&'a self, id: &'a StorageId, now: Timestamp) -> Reading<'a> {
        let mut shard = self.busy(id);
        let may_join = |flight: &Arc<Flight>| flight.asked.is_new(now, self.max_stale);
        let begin = || Arc::new(Flight::new(Asked { at: now, epoch: self.bus.epoch() }));
        let flight = shard.entry(id.clone()).or_default().read(may_join, begin);
        flight.readers.fetch_add(1, Ordering::Relaxed);
        Reading { entries: self, id, flight }
    }

    /// Begins a write of a session: from now on, reads go to the engine.
    pub(crate) fn write<'a>(&'a self, id: &'a StorageId) -> Writing<'a> {
        let mut shard = self.busy(id);
        shard.entry(id.clone()).or_default().write();
        self.kept.invalidate(id);
        Writing { entries: self, id }
    }

    /// Handles a change of a session by any process: its cached record and its reads in flight may
    /// be stale.
    pub(crate) fn changed(&self, id: &StorageId) {
        drop(self.write(id));
    }

    /// Drops everything, including reads in flight.
    pub(crate) fn clear(&self) {
        self.detach();
        self.kept.invalidate_all();
    }

    /// Detaches all reads in flight: their answers are not cached, and not used for later calls.
    fn detach(&self) {
        for shard in &self.busy {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, busy| {
                busy.detach();
                !busy.is_over()
            });
        }
    }

    /// Records a new idle deadline of a session that was not written to.
    pub(crate) fn touched(&self, id: &StorageId, seen: &Record, deadline: Timestamp) {
        let shard = self.busy(id);
        if shard.get(id).is_some_and(Busy::is_written) {
            return;
        }
        if let Some(kept) = self.kept.get(id)
            && kept.record.header.version() == seen.header.version()
        {
            let mut kept = Kept::clone(&kept);
            kept.record.header.deadline = deadline.min(kept.record.header.absolute);
            self.kept.insert(id.clone(), Arc::new(kept));
        }
    }

    /// Drops all reads of an owner's sessions that began before now.
    pub(crate) fn ended(&self, owner: &Owner, now: Timestamp) {
        {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.retain(|_, at| now.since(*at) <= self.max_stale);
            ended.insert(*owner, now);
        }
        self.detach();
    }

    fn is_ended(&self, kept: &Kept) -> bool {
        let Some(owner) = kept.record.header.owner else { return false };
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get(&owner).is_some_and(|at| kept.asked.is_before(*at))
    }

    fn busy(&self, id: &StorageId) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hasher.hash_one(id) >> 32).unwrap_or_default();
        self.busy[hash % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    fn new(asked: Asked) -> Self {
        Self { asked, answer: OnceCell::new(), readers: AtomicUsize::new(0) }
    }
}

/// A caller's share in a read in flight, until it is dropped.
pub(crate) struct Reading<'a> {
    entries: &'a Entries,
    id: &'a StorageId,
    flight: Arc<Flight>,
}

impl Reading<'_> {
    /// Returns the answer. The first caller makes the read; if it goes away, another caller does.
    pub(crate) async fn answer(&self, ask: impl AsyncFnOnce(Timestamp) -> Answer) -> Answer {
        self.flight.answer.get_or_init(|| ask(self.flight.asked.at)).await.clone()
    }
}

impl Drop for Reading<'_> {
    /// Caches the answer, unless the session was changed meanwhile.
    fn drop(&mut self) {
        let mut shard = self.entries.busy(self.id);
        let others = self.flight.readers.fetch_sub(1, Ordering::Relaxed) - 1;
        let answer = self.flight.answer.get();
        let Some(busy) = shard.get_mut(self.id) else { return };
        let may_keep =
            busy.leave(|flight| Arc::ptr_eq(flight, &self.flight), answer.is_some() || others == 0);
        if busy.is_over() {
            shard.remove(self.id);
        }
        if let (true, Some(Ok(Some(record)))) = (may_keep, answer)
            && record.is_live()
            && self.flight.asked.epoch.is_some()
        {
            let kept = Kept { record: record.clone(), asked: self.flight.asked };
            self.entries.kept.insert(self.id.clone(), Arc::new(kept));
        }
    }
}

/// A write in flight, until it is dropped.
pub(crate) struct Writing<'a> {
    entries: &'a Entries,
    id: &'a StorageId,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut shard = self.entries.busy(self.id);
        let Some(busy) = shard.get_mut(self.id) else { return };
        busy.written();
        if busy.is_over() {
            shard.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::clock::Timestamp;

    use super::*;

    #[tokio::test]
    async fn reads_that_are_given_up_leave_nothing_behind() {
        let entries = Entries::new(&Settings::new(), Watch::new(false));
        let id = StorageId::from_hash([7; 32]);
        let now = Timestamp::from_millis(1);
        let (first, second) = (entries.read(&id, now), entries.read(&id, now));
        drop(first);
        assert!(second.answer(async |_| Ok(None)).await.unwrap().is_none());
        drop(second);
        assert!(entries.busy(&id).is_empty());

        let (first, second) = (entries.read(&id, now), entries.read(&id, now));
        drop((first, second));
        assert!(entries.busy(&id).is_empty());

        let (read, write) = (entries.read(&id, now), entries.write(&id));
        drop(write);
        drop(read);
        assert!(entries.busy(&id).is_empty());
    }
}
