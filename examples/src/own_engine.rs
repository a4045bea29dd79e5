//! An engine over a map behind a lock. It keeps the whole contract: the suite runs on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::post;
use session_kit::clock::{Clock, SystemClock};
use session_kit::engine::{Condition, DestroyOutcome, Durability, TimeSource, WriteOutcome};
use session_kit::id::StorageId;
use session_kit::record::{Record, Stamp, State};
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::{Capabilities, Manager, Provider, Result};

/// Sessions in a map.
#[derive(Debug)]
pub struct MapProvider {
    records: Mutex<HashMap<StorageId, Record>>,
    clock: Arc<dyn Clock>,
}

type Records<'a> = MutexGuard<'a, HashMap<StorageId, Record>>;

impl MapProvider {
    /// An empty map, on this clock.
    pub fn new(clock: impl Clock) -> Self {
        Self { records: Mutex::default(), clock: Arc::new(clock) }
    }

    fn lock(&self) -> Records<'_> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unexpired record of an id; an expired one is absent for every method.
    fn alive(&self, records: &Records<'_>, id: &StorageId) -> Option<Record> {
        let now = self.clock.now();
        records.get(id).filter(|record| record.is_alive_at(now)).cloned()
    }
}

#[async_trait]
impl Provider for MapProvider {
    fn engine(&self) -> &'static str {
        "map"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().time_source(TimeSource::Core).durability(Durability::Process)
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        Ok(self.alive(&self.lock(), id))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        // The condition is checked, and the write done, under one lock.
        let mut records = self.lock();
        let current = self.alive(&records, id);
        let holds = match condition {
            Condition::Absent => current.is_none(),
            Condition::Over(stamp) => {
                current.as_ref().is_some_and(|current| current.header.version() == stamp.version)
            }
        };
        if !holds {
            return Ok(WriteOutcome::refused(current));
        }
        let mut record = record.clone();
        record.header.deadline = self.clock.now().after(ttl).min(record.header.absolute);
        records.insert(id.clone(), record);
        Ok(WriteOutcome::stored())
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let mut records = self.lock();
        let Some(mut record) = self.alive(&records, id).filter(Record::is_live) else { return Ok(false) };
        record.header.deadline = self.clock.now().after(ttl).min(record.header.absolute);
        records.insert(id.clone(), record);
        Ok(true)
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let mut records = self.lock();
        let Some(current) = self.alive(&records, id) else { return Ok(DestroyOutcome::Absent) };
        if let State::Moved(new) = current.header.state {
            return Ok(DestroyOutcome::Moved(new));
        }
        if expected.is_some_and(|stamp| stamp.version != current.header.version()) {
            return Ok(DestroyOutcome::Refused(Box::new(current)));
        }
        records.remove(id);
        Ok(DestroyOutcome::Destroyed)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.alive(&self.lock(), id).is_some_and(|record| record.is_live()))
    }

    async fn count(&self) -> Result<Option<u64>> {
        let (records, now) = (self.lock(), self.clock.now());
        let live = records.values().filter(|record| record.is_live() && record.is_alive_at(now)).count();
        Ok(u64::try_from(live).ok())
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let (mut records, now) = (self.lock(), self.clock.now());
        let expired = records.iter().filter(|(_, record)| !record.is_alive_at(now));
        let expired: Vec<_> = expired.map(|(id, _)| id.clone()).take(limit).collect();
        for id in &expired {
            records.remove(id);
        }
        Ok(expired.len())
    }
}

/// A service over the engine.
pub fn app() -> Result<Router> {
    let manager = Manager::builder(MapProvider::new(SystemClock)).build()?;
    Ok(Router::new().route("/visits", post(visit)).layer(SessionLayer::new(manager)))
}

async fn visit(session: Session) -> Result<String, SessionError> {
    Ok(session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?.to_string())
}
