//! The simplest provider that keeps the contract: a map under one lock. It can be given one flaw.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_conformance::{Harness, async_trait};
use session_core::{
    Capabilities, Clock, Condition, DestroyOutcome, ManualClock, Provider, Record, Result, Stamp, State,
    StorageId, SystemClock, TimeSource, Timestamp, WriteOutcome,
};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A write ignores the version that was read.
    LosesUpdates,
    /// A replace creates what is not there.
    Resurrects,
}

/// What kind of engine it plays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind {
    /// Reads move the idle deadline.
    pub slides: bool,
    /// It keeps time by the machine's clock.
    pub real_clock: bool,
    /// It compares by a token of its own, which every read changes.
    pub cas: bool,
    pub flaw: Option<Flaw>,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    ends: Timestamp,
    cas: u64,
}

#[derive(Debug)]
pub struct Reference {
    kind: Kind,
    clock: Arc<dyn Clock>,
    map: Mutex<HashMap<StorageId, Entry>>,
}

impl Reference {
    fn has(&self, flaw: Flaw) -> bool {
        self.kind.flaw == Some(flaw)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<StorageId, Entry>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is under the id and has not expired.
    fn current(&self, map: &HashMap<StorageId, Entry>, id: &StorageId) -> Result<Option<Record>> {
        let Some(entry) = map.get(id).filter(|entry| self.clock.now() < entry.ends) else { return Ok(None) };
        let mut record = Record::decode(entry.bytes.clone())?;
        record.header.deadline = entry.ends;
        record.cas = entry.cas;
        Ok(Some(record))
    }

    fn put(&self, map: &mut HashMap<StorageId, Entry>, id: &StorageId, bytes: Vec<u8>, ttl: Duration) -> u64 {
        let cas = map.get(id).map_or(u64::from(self.kind.cas), |entry| entry.cas + u64::from(self.kind.cas));
        map.insert(id.clone(), Entry { bytes, ends: self.clock.now().after(ttl), cas });
        cas
    }

    /// An engine's own token counts when there is one, and when it is stale, the version.
    fn matches(current: &Record, stamp: Stamp) -> bool {
        (stamp.cas != 0 && stamp.cas == current.cas) || stamp.version == current.header.version()
    }
}

#[async_trait]
impl Provider for Reference {
    fn engine(&self) -> &'static str {
        "reference"
    }

    fn capabilities(&self) -> Capabilities {
        let source = if self.kind.real_clock { TimeSource::Server } else { TimeSource::Core };
        Capabilities::new().slides_on_read(self.kind.slides).time_source(source)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let mut map = self.map();
        let Some(mut record) = self.current(&map, id)? else { return Ok(None) };
        let Some(entry) = map.get_mut(id) else { return Ok(None) };
        if self.kind.slides && record.is_live() {
            entry.ends = self.clock.now().after(idle).min(record.header.absolute);
            record.header.deadline = entry.ends;
        }
        entry.cas += u64::from(self.kind.cas);
        record.cas = entry.cas;
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
            (Condition::Over(_), None) => self.has(Flaw::Resurrects),
            (Condition::Over(stamp), Some(current)) => {
                self.has(Flaw::LosesUpdates) || Self::matches(current, stamp)
            }
        };
        if !holds {
            return Ok(WriteOutcome::refused(current));
        }
        let cas = self.put(&mut map, id, record.encode()?, ttl);
        Ok(WriteOutcome::stored_with_cas(cas))
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let _ = seen;
        let mut map = self.map();
        let live = self.current(&map, id)?.is_some_and(|record| record.is_live());
        if let Some(entry) = map.get_mut(id).filter(|_| live) {
            entry.ends = self.clock.now().after(ttl);
        }
        Ok(live)
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let mut map = self.map();
        match (self.current(&map, id), expected) {
            (Ok(None), _) => return Ok(DestroyOutcome::Absent),
            (Ok(Some(Record { header: session_core::Header { state: State::Moved(new), .. }, .. })), _) => {
                return Ok(DestroyOutcome::Moved(new));
            }
            (Ok(Some(current)), Some(stamp)) if !Self::matches(&current, stamp) => {
                return Ok(DestroyOutcome::Refused(Box::new(current)));
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
}

/// The harness of the reference.
pub struct Example {
    kind: Kind,
    clock: ManualClock,
    made: Mutex<Option<Arc<Reference>>>,
}

impl Example {
    pub fn of(kind: Kind) -> Self {
        Self { kind, clock: ManualClock::default(), made: Mutex::default() }
    }
}

#[async_trait]
impl Harness for Example {
    async fn provider(&self) -> Arc<dyn Provider> {
        let clock: Arc<dyn Clock> =
            if self.kind.real_clock { Arc::new(SystemClock) } else { Arc::new(self.clock.clone()) };
        let reference = Arc::new(Reference { kind: self.kind, clock, map: Mutex::default() });
        *self.made.lock().unwrap() = Some(Arc::clone(&reference));
        reference
    }

    fn clock(&self) -> Option<ManualClock> {
        (!self.kind.real_clock).then(|| self.clock.clone())
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let reference = self.made.lock().unwrap().clone().expect("the provider was made first");
        let mut map = reference.map();
        reference.put(&mut map, id, bytes, session_conformance::LONG);
        true
    }
}
