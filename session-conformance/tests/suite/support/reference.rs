//! The simplest provider that keeps the contract: a map under one lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_conformance::async_trait;
use session_core::accounts::Owner;
use session_core::clock::{Clock, Timestamp};
use session_core::engine::{
    Condition, Cursor, DestroyOutcome, Indexed, Listed, OwnerIndex, Page, Scan, TimeSource, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Header, Record, Stamp, State};
use session_core::{Capabilities, ErrorKind, Provider, Result};

/// What kind of engine it plays.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Kind {
    /// Reads move the idle deadline.
    pub slides: bool,
    /// It keeps time by the machine's clock.
    pub real_clock: bool,
    /// It compares by a token of its own, which every read changes, and where that is stale by the
    /// version.
    pub cas: bool,
    /// It compares by a token of its own alone, as memcached does, and by the version only where it
    /// is given no token.
    pub cas_only: bool,
}

#[derive(Debug)]
pub struct Entry {
    pub bytes: Vec<u8>,
    pub ends: Timestamp,
    pub cas: u64,
}

type Map = HashMap<StorageId, Entry>;

#[derive(Debug)]
pub struct Reference {
    pub kind: Kind,
    pub clock: Arc<dyn Clock>,
    map: Mutex<Map>,
    tokens: AtomicU64,
}

impl Reference {
    pub fn new(kind: Kind, clock: Arc<dyn Clock>) -> Self {
        Self { kind, clock, map: Mutex::default(), tokens: AtomicU64::new(1) }
    }

    pub fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is under the id and has not expired.
    fn current(&self, map: &Map, id: &StorageId) -> Result<Option<Record>> {
        let Some(entry) = map.get(id).filter(|entry| self.clock.now() < entry.ends) else { return Ok(None) };
        let mut record = Record::decode(&entry.bytes)?;
        record.header.deadline = entry.ends;
        record.cas = entry.cas;
        Ok(Some(record))
    }

    /// Stores without a condition.
    pub fn put(&self, map: &mut Map, id: &StorageId, bytes: Vec<u8>, ttl: Duration) -> u64 {
        let cas = self.next_token();
        map.insert(id.clone(), Entry { bytes, ends: self.clock.now().after(ttl), cas });
        cas
    }

    fn next_token(&self) -> u64 {
        if self.kind.cas || self.kind.cas_only { self.tokens.fetch_add(1, Ordering::Relaxed) } else { 0 }
    }

    /// Whether a stamp is that of this record, as this kind of engine compares it.
    fn matches(&self, current: &Record, stamp: Stamp) -> bool {
        let same_token = stamp.cas != 0 && stamp.cas == current.cas;
        let same_version = stamp.version == current.header.version();
        if self.kind.cas_only && stamp.cas != 0 { same_token } else { same_token || same_version }
    }

    /// The time that a record has when it is to live for `ttl`: not more than its absolute deadline
    /// leaves.
    fn capped(&self, header: &Header, ttl: Duration) -> Duration {
        ttl.min(header.absolute.since(self.clock.now()))
    }
}

#[async_trait]
impl Provider for Reference {
    fn engine(&self) -> &'static str {
        "reference"
    }

    fn capabilities(&self) -> Capabilities {
        let source = if self.kind.real_clock { TimeSource::Server } else { TimeSource::Core };
        Capabilities::new()
            .slides_on_read(self.kind.slides)
            .time_source(source)
            .owner_index(OwnerIndex::Exact)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let mut map = self.map();
        let Some(mut record) = self.current(&map, id)? else { return Ok(None) };
        let Some(entry) = map.get_mut(id) else { return Ok(None) };
        if self.kind.slides && record.is_live() {
            entry.ends = self.clock.now().after(idle).min(record.header.absolute);
            record.header.deadline = entry.ends;
        }
        if self.kind.cas {
            entry.cas = self.next_token();
            record.cas = entry.cas;
        }
        Ok(Some(record))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let mut map = self.map();
        let current = self.current(&map, id)?;
        let holds = match (condition, &current) {
            (Condition::Absent, current) => current.is_none(),
            (Condition::Over(_), None) => false,
            (Condition::Over(stamp), Some(current)) => self.matches(current, stamp),
        };
        if !holds {
            return Ok(WriteOutcome::refused(current));
        }
        let cas = self.put(&mut map, id, record.encode()?, self.capped(&record.header, ttl));
        Ok(WriteOutcome::stored_with_cas(cas))
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let _ = seen;
        let mut map = self.map();
        let Some(current) = self.current(&map, id)?.filter(Record::is_live) else { return Ok(false) };
        if let Some(entry) = map.get_mut(id) {
            entry.ends = self.clock.now().after(self.capped(&current.header, ttl));
        }
        Ok(true)
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let mut map = self.map();
        match (self.current(&map, id), expected) {
            (Ok(None), _) => return Ok(DestroyOutcome::Absent),
            // Such an engine compares its token and does not look at the record.
            (Ok(Some(current)), Some(stamp))
                if self.kind.cas_only && stamp.cas != 0 && stamp.cas == current.cas => {}
            (Ok(Some(Record { header: Header { state: State::Moved(new), .. }, .. })), _) => {
                return Ok(DestroyOutcome::Moved(new));
            }
            (Ok(Some(current)), Some(stamp)) if !self.matches(&current, stamp) => {
                return Ok(DestroyOutcome::Refused(Box::new(current)));
            }
            // A record of a newer format may be a tombstone, and its stamp cannot be compared.
            (Err(error), expected) if expected.is_some() || error.kind() == ErrorKind::Unsupported => {
                return Err(error);
            }
            _ => {}
        }
        map.remove(id);
        Ok(DestroyOutcome::Destroyed)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.current(&self.map(), id)?.is_some_and(|record| record.is_live()))
    }

    async fn count(&self) -> Result<Option<u64>> {
        let map = self.map();
        let live = |id: &&StorageId| {
            self.current(&map, id).is_ok_and(|record| record.is_some_and(|record| record.is_live()))
        };
        Ok(u64::try_from(map.keys().filter(live).count()).ok())
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let mut map = self.map();
        let now = self.clock.now();
        let expired: Vec<_> =
            map.iter().filter(|(_, entry)| entry.ends <= now).map(|(id, _)| id.clone()).collect();
        let removed = expired.iter().take(limit).filter(|id| map.remove(id).is_some()).count();
        Ok(removed)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

impl Reference {
    fn page(
        &self,
        after: Option<&Cursor>,
        limit: usize,
        is_wanted: impl Fn(&Record) -> bool,
    ) -> Result<Page> {
        let map = self.map();
        let after = after.map(Cursor::id).transpose()?;
        let mut ids: Vec<_> =
            map.keys().filter(|id| after.as_ref().is_none_or(|after| *id > after)).collect();
        ids.sort();
        let found = ids.into_iter().filter_map(|id| {
            let record = self.current(&map, id).ok().flatten().filter(&is_wanted)?;
            Some(Listed::new(id.clone(), record))
        });
        let sessions: Vec<_> = found.take(limit).collect();
        let next = sessions.get(limit - 1).map(|last| Cursor::after(&last.id));
        Ok(Page { sessions, next })
    }
}

#[async_trait]
impl Indexed for Reference {
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.page(after, limit, |record| record.is_live() && record.header.owner == Some(*owner))
    }
}

#[async_trait]
impl Scan for Reference {
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.page(after, limit, |_| true)
    }
}
