//! A small engine whose capabilities and failures are set by tests.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, ManualClock};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Provider, Result};

#[derive(Clone, Debug, Default)]
pub struct Toy(pub Arc<Inner>);

#[derive(Debug, Default)]
pub struct Inner {
    pub clock: ManualClock,
    pub records: Mutex<HashMap<StorageId, Record>>,
    pub slides: bool,
    /// Sends each write twice, like a driver after a lost answer.
    pub resends: AtomicBool,
    pub writes: AtomicUsize,
    pub reads: AtomicUsize,
    pub delay_ms: AtomicUsize,
    /// There is always more to collect.
    pub endless: AtomicBool,
    /// From this write on nothing is answered.
    pub hangs_from: AtomicUsize,
}

impl Toy {
    pub fn new(slides: bool) -> Self {
        Self(Arc::new(Inner { slides, hangs_from: AtomicUsize::new(usize::MAX), ..Inner::default() }))
    }
    pub fn sessions(&self) -> usize {
        self.0.records.lock().unwrap().values().filter(|r| r.is_live()).count()
    }
    fn alive(&self, id: &StorageId) -> Option<Record> {
        let now = self.0.clock.now();
        self.0.records.lock().unwrap().get(id).filter(|r| r.is_alive_at(now)).cloned()
    }
    fn try_write(&self, id: &StorageId, record: &Record, when: Condition, ttl: Duration) -> WriteOutcome {
        let current = self.alive(id);
        let allowed = match (&current, when) {
            (None, Condition::Absent) => true,
            (Some(current), Condition::Over(stamp)) => current.header.version() == stamp.version,
            _ => false,
        };
        if !allowed {
            return WriteOutcome::refused(current);
        }
        let mut record = record.clone();
        record.header.deadline = self.0.clock.now().after(ttl);
        self.0.records.lock().unwrap().insert(id.clone(), record);
        WriteOutcome::stored()
    }
}

#[async_trait]
impl Provider for Toy {
    fn engine(&self) -> &'static str {
        "toy"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().slides_on_read(self.0.slides)
    }
    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        tokio::task::yield_now().await;
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let delay = self.0.delay_ms.load(Ordering::SeqCst) as u64;
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let Some(mut record) = self.alive(id) else { return Ok(None) };
        if self.0.slides && record.is_live() {
            record.header.deadline = self.0.clock.now().after(idle).min(record.header.absolute);
            self.0.records.lock().unwrap().insert(id.clone(), record.clone());
        }
        Ok(Some(record))
    }
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        when: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let nth = self.0.writes.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if nth >= self.0.hangs_from.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let outcome = self.try_write(id, record, when, ttl);
        if self.0.resends.load(Ordering::SeqCst) {
            // A driver that resends after a lost answer receives only the second answer.
            return Ok(match self.try_write(id, record, when, ttl) {
                WriteOutcome::Refused(r) => WriteOutcome::refused_after_resend(r.current.map(|r| *r)),
                stored @ WriteOutcome::Stored(_) => stored,
            });
        }
        Ok(outcome)
    }
    async fn touch(&self, id: &StorageId, _: &Record, ttl: Duration) -> Result<bool> {
        let Some(mut record) = self.alive(id).filter(Record::is_live) else { return Ok(false) };
        record.header.deadline = self.0.clock.now().after(ttl);
        self.0.records.lock().unwrap().insert(id.clone(), record);
        Ok(true)
    }
    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let Some(record) = self.alive(id) else { return Ok(DestroyOutcome::Absent) };
        if let State::Moved(new) = record.header.state {
            return Ok(DestroyOutcome::Moved(new));
        }
        if expected.is_some_and(|stamp| stamp.version != record.header.version()) {
            return Ok(DestroyOutcome::Refused(Box::new(record)));
        }
        self.0.records.lock().unwrap().remove(id);
        Ok(DestroyOutcome::Destroyed)
    }
    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.alive(id).is_some_and(|r| r.is_live()))
    }
    async fn count(&self) -> Result<Option<u64>> {
        Ok(Some(self.sessions() as u64))
    }
    async fn gc(&self, limit: usize) -> Result<usize> {
        if self.0.endless.load(Ordering::SeqCst) {
            return Ok(limit);
        }
        let now = self.0.clock.now();
        let mut records = self.0.records.lock().unwrap();
        let before = records.len();
        records.retain(|_, r| r.is_alive_at(now));
        Ok(before - records.len())
    }
}
