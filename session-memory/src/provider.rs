//! The provider: conditions are checked, and writes applied, under the lock of one shard.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use session_core::accounts::Owner;
use session_core::clock::{Clock, Timestamp};
use session_core::engine::{
    Condition, Cursor, DestroyOutcome, Durability, Immediate, Indexed, Listed, OwnerIndex, Page, Rename,
    Scan, TOMBSTONE_TTL, TimeSource, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::store::{BATCH, Location, Room, Store};
use crate::{Builder, ENGINE};

/// The number of times that a write to a full store evicts another session before it gives up.
const ATTEMPTS: usize = 16;

/// Sessions in memory. Share it in an `Arc`: every provider is a separate store.
///
/// Calls wait only for a shard's lock, so none can be cancelled halfway. Only a write to a full
/// store, and a collection, yield to other tasks between two batches of records, and then every
/// change is complete.
#[derive(Debug)]
pub struct MemoryProvider {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The shard with which the next collection begins.
    next_shard: AtomicUsize,
}

impl MemoryProvider {
    /// Creates an unbounded store with the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::from_builder(&Builder::default())
    }

    /// Starts the configuration of a store with a bound, an eviction or another clock.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn from_builder(builder: &Builder) -> Self {
        Self {
            store: Store::new(builder.max_sessions, builder.eviction.unwrap_or_default()),
            clock: Arc::clone(&builder.clock),
            next_shard: AtomicUsize::new(0),
        }
    }

    fn slide(&self, id: &StorageId, idle: Duration) -> Option<Record> {
        let now = self.clock.now();
        let Location { hash, shard } = self.store.locate(id);
        self.store.lock(shard).slide(hash, id, now, now.after(idle))
    }

    /// Makes one attempt to write; `None` if the store is full.
    fn try_write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Option<WriteOutcome> {
        let now = self.clock.now();
        let Location { hash, shard } = self.store.locate(id);
        let mut shard = self.store.lock(shard);
        let current = shard.alive(hash, id, now);
        let holds = match condition {
            Condition::Absent => current.is_none(),
            Condition::Over(stamp) => {
                current.is_some_and(|current| stamp.version == current.header.version())
            }
        };
        if !holds {
            return Some(WriteOutcome::refused(current.cloned()));
        }
        // An expired record is replaced, but was still counted.
        let was_live = shard.get(hash, id).is_some_and(Record::is_live);
        if record.is_live() && !was_live && !self.store.reserve() {
            return None;
        }
        let before = shard.put(hash, id, ending(record, now.after(ttl)));
        self.store.owners.changed(id, before.as_ref(), Some(record));
        drop(shard);
        self.store.gone(usize::from(was_live && !record.is_live()));
        drop(before);
        Some(WriteOutcome::stored())
    }

    fn full(&self) -> Error {
        let max = self.store.max();
        Error::new(
            ErrorKind::Full,
            format!(
                "it has reached the limit of {max} sessions: raise `max_sessions`, shorten the idle timeout, \
                 or choose an eviction"
            ),
        )
        .in_engine(ENGINE)
        .during("write")
    }
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .slides_on_read(true)
            .time_source(TimeSource::Core)
            .durability(Durability::Process)
            .owner_index(OwnerIndex::Exact)
            .evicts(self.store.evicts())
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        Ok(self.slide(id, idle))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        // Concurrent writes may use the space that an eviction freed, so the attempts are limited.
        let mut attempts = ATTEMPTS;
        while attempts > 0 {
            if let Some(outcome) = self.try_write(id, record, condition, ttl) {
                return Ok(outcome);
            }
            match self.store.make_room(self.clock.now()) {
                Room::Made => attempts -= 1,
                // A store of millions may have many sessions that are due but still in use.
                Room::Searching => let_others_run().await,
                Room::None => break,
            }
        }
        Err(self.full())
    }

    /// Writes both records under both locks, so that a full store can still give a session a new
    /// id.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let now = self.clock.now();
        let (from, to) = (self.store.locate(old), self.store.locate(new));
        let (mut from_shard, mut to_shard) = self.store.lock_both(from, to);
        let present = to_shard.as_ref().unwrap_or(&from_shard).alive(to.hash, new, now);
        let Some(current) = from_shard.alive(from.hash, old, now) else {
            return Ok(WriteOutcome::refused(None));
        };
        if current.header.has_version(tombstone.header.version()) {
            // This rename was already applied; a logout may have followed the tombstone since.
            let kept = present.is_some_and(|present| present.header.has_version(record.header.version()));
            return Ok(if kept { WriteOutcome::stored() } else { WriteOutcome::refused(None) });
        }
        if !current.is_live() || current.header.version() != over.version {
            return Ok(WriteOutcome::refused(Some(current.clone())));
        }
        if present.is_some() {
            return Ok(WriteOutcome::refused(None));
        }
        let target = to_shard.as_mut().unwrap_or(&mut from_shard);
        let replaced = target.put(to.hash, new, ending(record, now.after(*ttl)));
        let before = from_shard.put(from.hash, old, ending(tombstone, now.after(TOMBSTONE_TTL)));
        self.store.owners.changed(new, replaced.as_ref(), Some(record));
        self.store.owners.changed(old, before.as_ref(), None);
        drop((from_shard, to_shard));
        // The number of sessions stays the same, unless an expired one under the new id was
        // replaced.
        self.store.gone(usize::from(replaced.as_ref().is_some_and(Record::is_live)));
        drop(before);
        Ok(WriteOutcome::stored())
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let now = self.clock.now();
        let Location { hash, shard } = self.store.locate(id);
        let mut shard = self.store.lock(shard);
        let Some(current) = shard.alive(hash, id, now) else { return Ok(DestroyOutcome::Absent) };
        if let State::Moved(target) = &current.header.state {
            return Ok(DestroyOutcome::Moved(target.clone()));
        }
        if expected.is_some_and(|expected| expected.version != current.header.version()) {
            return Ok(DestroyOutcome::Refused(Box::new(current.clone())));
        }
        let removed = shard.remove(hash, id);
        self.store.owners.changed(id, removed.as_ref(), None);
        drop(shard);
        self.store.gone(1);
        drop(removed);
        Ok(DestroyOutcome::Destroyed)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let now = self.clock.now();
        let Location { hash, shard } = self.store.locate(id);
        Ok(self.store.lock(shard).alive(hash, id, now).is_some_and(Record::is_live))
    }

    /// Exact and immediate, but includes expired sessions that were not collected yet.
    async fn count(&self) -> Result<Option<u64>> {
        Ok(u64::try_from(self.store.sessions()).ok())
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let now = self.clock.now();
        let mut removed = 0;
        for _ in 0..self.store.shards() {
            let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % self.store.shards();
            let mut more = self.store.is_due(shard, now);
            while more && removed < limit {
                let (batch, rest) = self.store.sweep(shard, now, BATCH.min(limit - removed));
                removed += batch;
                more = rest;
                if more {
                    let_others_run().await;
                }
            }
            if removed >= limit {
                break;
            }
        }
        Ok(removed)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }

    fn as_immediate(&self) -> Option<&dyn Immediate> {
        Some(self)
    }
}

impl Immediate for MemoryProvider {
    fn read_at_once(&self, id: &StorageId, idle: Duration) -> Option<Result<Option<Record>>> {
        Some(Ok(self.slide(id, idle)))
    }

    /// Returns `None` if a full store must evict a session first.
    fn write_at_once(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Option<Result<WriteOutcome>> {
        self.try_write(id, record, condition, ttl).map(Ok)
    }
}

#[async_trait]
impl Indexed for MemoryProvider {
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let now = self.clock.now();
        let ids = self.store.owners.of(owner, after.map(Cursor::id).transpose()?.as_ref(), limit);
        let next = ids.get(limit.saturating_sub(1)).map(Cursor::after);
        let listed = |id: StorageId| {
            let Location { hash, shard } = self.store.locate(&id);
            let record = self.store.lock(shard).alive(hash, &id, now).cloned()?;
            (record.header.owner == Some(*owner)).then(|| Listed::new(id, record))
        };
        Ok(Page { sessions: ids.into_iter().filter_map(listed).collect(), next })
    }
}

#[async_trait]
impl Scan for MemoryProvider {
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let now = self.clock.now();
        let after = after.map(Cursor::id).transpose()?;
        let mut shard = after.as_ref().map_or(0, |id| self.store.locate(id).shard);
        let mut found = self.store.lock(shard).walk(after.as_ref(), limit);
        while found.is_empty() && shard + 1 < self.store.shards() {
            shard += 1;
            found = self.store.lock(shard).walk(None, limit);
        }
        let next = found.last().map(|(id, _)| Cursor::after(id));
        found.retain(|(_, record)| record.is_alive_at(now));
        Ok(Page { sessions: found.into_iter().map(|(id, record)| Listed::new(id, record)).collect(), next })
    }
}

/// Returns the record with the idle deadline that the store gives it.
fn ending(record: &Record, deadline: Timestamp) -> Record {
    let mut record = record.clone();
    record.header.deadline = deadline.min(record.header.absolute);
    record
}

/// Yields to other tasks between two batches.
async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
