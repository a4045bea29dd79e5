//! A small engine whose failures tests decide.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, SystemClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::transport::{CookieSettings, Transport};
use session_core::{Capabilities, Error, ErrorKind, Manager, ManagerBuilder, Provider, Result};
use tokio::sync::{Semaphore, oneshot};

/// An engine whose failures tests decide. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Inner>);

type Records = HashMap<StorageId, (Record, Timestamp)>;

#[derive(Debug, Default)]
struct Inner {
    records: Mutex<Records>,
    calls: AtomicU64,
    reads_fail: Mutex<Option<ErrorKind>>,
    writes_fail: Mutex<Option<ErrorKind>>,
    held: Mutex<Option<Held>>,
}

/// Changes that wait until they are let go.
#[derive(Debug)]
struct Held {
    /// Told of the first one.
    arrived: Option<oneshot::Sender<()>>,
    go: Arc<Semaphore>,
}

impl Shelf {
    /// How many calls it had since it was last asked.
    pub fn calls(&self) -> u64 {
        self.0.calls.swap(0, Ordering::SeqCst)
    }

    /// From now on reading fails like this, or works again.
    pub fn fail_reads(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.0.reads_fail.lock().expect("no panic") = kind.into();
    }

    /// From now on every change fails like this, or works again.
    pub fn fail_writes(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.0.writes_fail.lock().expect("no panic") = kind.into();
    }

    /// From now on every change waits; the answer comes with the first one.
    pub fn hold_writes(&self) -> oneshot::Receiver<()> {
        let (arrived, has_arrived) = oneshot::channel();
        let held = Held { arrived: Some(arrived), go: Arc::new(Semaphore::new(0)) };
        *self.0.held.lock().expect("no panic") = Some(held);
        has_arrived
    }

    /// Lets the changes go on that wait, and all later ones.
    pub fn let_writes_go(&self) {
        if let Some(held) = self.0.held.lock().expect("no panic").take() {
            held.go.close();
        }
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.0.records.lock().expect("no panic").values().filter(|(record, _)| record.is_live()).count()
    }

    /// Ends every session, as an administrator might.
    pub fn wipe(&self) {
        self.0.records.lock().expect("no panic").clear();
    }

    /// A manager of its sessions.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.builder().build().expect("a manager")
    }

    /// A manager of its sessions with this cookie.
    #[must_use]
    pub fn manager_with(&self, cookie: CookieSettings) -> Manager {
        self.builder().transport(Transport::cookie(cookie)).build().expect("a manager")
    }

    /// Begins the configuration of a manager, whose operations have time on a busy machine.
    pub fn builder(&self) -> ManagerBuilder {
        Manager::builder(self.clone()).operation_timeout(Duration::from_secs(30))
    }

    fn call(&self, fails: &Mutex<Option<ErrorKind>>) -> Result<()> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let kind = *fails.lock().expect("no panic");
        kind.map_or(Ok(()), |kind| Err(Error::new(kind, "host db.internal:5432 is secret")))
    }

    async fn change(&self) -> Result<()> {
        self.call(&self.0.writes_fail)?;
        let go = self.0.held.lock().expect("no panic").as_mut().map(|held| {
            held.arrived.take().map(|arrived| arrived.send(()));
            Arc::clone(&held.go)
        });
        if let Some(go) = go {
            // It is closed, never entered.
            let _ = go.acquire().await;
        }
        Ok(())
    }

    fn live(&self, id: &StorageId) -> Option<Record> {
        Self::live_in(&self.0.records.lock().expect("no panic"), id)
    }

    fn live_in(records: &Records, id: &StorageId) -> Option<Record> {
        records.get(id).filter(|(_, end)| SystemClock.now() < *end).map(|(record, _)| record.clone())
    }
}

#[async_trait]
impl Provider for Shelf {
    fn engine(&self) -> &'static str {
        "shelf"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().slides_on_read(true)
    }

    async fn read(&self, id: &StorageId, _: Duration) -> Result<Option<Record>> {
        self.call(&self.0.reads_fail)?;
        // Others get their turn between a read and a write, or nothing would ever conflict.
        tokio::task::yield_now().await;
        Ok(self.live(id))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        when: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.change().await?;
        let mut records = self.0.records.lock().expect("no panic");
        let current = Self::live_in(&records, id);
        let allowed = match (&current, when) {
            (None, Condition::Absent) => true,
            (Some(current), Condition::Over(stamp)) => current.stamp() == stamp,
            _ => false,
        };
        if !allowed {
            return Ok(WriteOutcome::refused(current));
        }
        let end = SystemClock.now().after(ttl);
        records.insert(id.clone(), (record.clone(), end));
        Ok(WriteOutcome::stored())
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.change().await?;
        let mut records = self.0.records.lock().expect("no panic");
        let Some(record) = Self::live_in(&records, id) else { return Ok(DestroyOutcome::Absent) };
        if let State::Moved(new) = record.header.state {
            return Ok(DestroyOutcome::Moved(new));
        }
        if expected.is_some_and(|stamp| stamp != record.stamp()) {
            return Ok(DestroyOutcome::Refused(Box::new(record)));
        }
        records.remove(id);
        Ok(DestroyOutcome::Destroyed)
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.live(id).is_some())
    }

    async fn count(&self) -> Result<Option<u64>> {
        Ok(Some(self.sessions() as u64))
    }

    async fn gc(&self, _: usize) -> Result<usize> {
        Ok(0)
    }
}
