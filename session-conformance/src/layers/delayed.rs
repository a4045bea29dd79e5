//! A late packet: the engine gets it long after its caller has given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Indexed, Rename, Scan, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

/// Holds back the first write or rename, whose caller gets an unknown outcome, until it is
/// [delivered](Self::deliver).
#[derive(Debug)]
pub struct Delayed {
    inner: Arc<dyn Provider>,
    late: Mutex<Late>,
}

#[derive(Debug, Default)]
enum Late {
    #[default]
    Waiting,
    Write(Box<(StorageId, Record, Condition, Duration)>),
    Rename(Box<Move>),
    Delivered,
}

/// A rename that owns its arguments.
#[derive(Debug)]
struct Move {
    old: (StorageId, Stamp),
    new: (StorageId, Record, Duration),
    tombstone: Record,
}

impl Delayed {
    /// The engine behind a slow connection.
    pub fn on(inner: Arc<dyn Provider>) -> Arc<Self> {
        Arc::new(Self { inner, late: Mutex::default() })
    }

    /// The late call arrives. Its response is dropped.
    pub async fn deliver(&self) {
        let late = std::mem::replace(&mut *self.late(), Late::Delivered);
        match late {
            Late::Write(call) => {
                let (id, record, condition, ttl) = *call;
                let _ = self.inner.write(&id, &record, condition, ttl).await;
            }
            Late::Rename(call) => {
                let Move { old: (old, over), new: (new, record, ttl), tombstone } = &*call;
                let _ = self.inner.rename(&Rename::new((old, *over), (new, record, *ttl), tombstone)).await;
            }
            Late::Waiting | Late::Delivered => panic!("no call was late"),
        }
    }

    fn late(&self) -> std::sync::MutexGuard<'_, Late> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds back the call if it is the first.
    fn keep(&self, call: impl FnOnce() -> Late) -> Result<()> {
        let mut late = self.late();
        if !matches!(*late, Late::Waiting) {
            return Ok(());
        }
        *late = call();
        Err(Error::new(ErrorKind::OutcomeUnknown, "a test has delayed the call"))
    }
}

#[crate::async_trait]
impl Provider for Delayed {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.inner.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.inner.read(id, idle).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.inner.read_now(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.keep(|| Late::Write(Box::new((id.clone(), record.clone(), condition, ttl))))?;
        self.inner.write(id, record, condition, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.inner.touch(id, seen, ttl).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.keep(|| {
            Late::Rename(Box::new(Move {
                old: (rename.old.clone(), rename.over),
                new: (rename.new.clone(), rename.record.clone(), rename.ttl),
                tombstone: rename.tombstone.clone(),
            }))
        })?;
        self.inner.rename(rename).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.inner.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.inner.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.inner.count().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.inner.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan()
    }
}
