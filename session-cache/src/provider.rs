//! The engine that wraps another engine.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::engine::{
    Condition, Cursor, DestroyOutcome, Immediate, Indexed, Page, Rename, Scan, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::bus::{self, Bus, Watch};
use crate::entries::Entries;
use crate::{Settings, count};

/// An engine that serves reads from memory for a while; see the [crate](crate).
pub struct Cached {
    inner: Arc<dyn Provider>,
    entries: Arc<Entries>,
    settings: Settings,
    /// The task that listens to the bus. It ends with the cache, and with the runtime that it was
    /// started on.
    listening: Mutex<JoinSet<()>>,
}

impl Cached {
    /// Puts a cache over an engine.
    ///
    /// [`Config`](ErrorKind::Config) when a setting is invalid, or when the client holds the
    /// engine's records, so that there is nothing to cache.
    pub fn new(provider: impl Provider, settings: Settings) -> Result<Self> {
        Self::over(Arc::new(provider), settings)
    }

    /// Like [`new`](Self::new), for an engine that is already shared.
    pub fn over(provider: Arc<dyn Provider>, settings: Settings) -> Result<Self> {
        settings.check()?;
        if provider.capabilities().client_side {
            let engine = provider.engine();
            return Err(Error::config(format!(
                "the engine `{engine}` reads from the cookie: it needs no cache"
            )));
        }
        let watch = Watch::new(provider.as_notify().is_some());
        let entries = Arc::new(Entries::new(&settings, watch));
        let cached = Self { inner: provider, entries, settings, listening: Mutex::default() };
        cached.keep_listening();
        Ok(cached)
    }

    /// Returns whether notices of other processes' changes arrive.
    pub fn bus(&self) -> Bus {
        self.entries.bus.state()
    }

    /// Starts listening to the bus, if there is one and nothing listens yet. Outside of a runtime
    /// the next read starts it.
    fn keep_listening(&self) {
        if self.bus() != Bus::Lost {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        while listening.try_join_next().is_some() {}
        if listening.is_empty() {
            listening.spawn_on(bus::listen(Arc::clone(&self.inner), Arc::clone(&self.entries)), &runtime);
        }
    }

    fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    fn hit(&self, id: &StorageId) -> Option<Record> {
        let now = self.now();
        let kept = self.entries.get(id, now)?;
        count("session_cache_hit");
        crate::measure("session_cache_age_seconds", now.since(kept.asked.at));
        Some(kept.record.clone())
    }

    /// Reads the engine, once for all concurrent callers.
    async fn fetch(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let reading = self.entries.read(id, self.now());
        let ask = async |at| match self.inner.read(id, idle).await {
            Ok(record) => Ok(record.map(|record| self.slid(record, idle, at))),
            Err(error) => Err((error.kind(), error.message().to_owned())),
        };
        reading.answer(ask).await.map_err(|(kind, message)| Error::new(kind, message))
    }

    /// Returns a record with the idle deadline that a read has extended.
    fn slid(&self, mut record: Record, idle: Duration, at: Timestamp) -> Record {
        if self.inner.capabilities().slides_on_read && record.is_live() {
            record.header.deadline = at.after(idle).min(record.header.absolute);
        }
        record
    }
}

#[async_trait]
impl Provider for Cached {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    /// Returns those of the engine, with the added staleness.
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().max_stale(self.settings.max_stale)
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.inner.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        if let Some(record) = self.hit(id) {
            return Ok(Some(record));
        }
        count("session_cache_miss");
        if self.bus() == Bus::Lost {
            // Does not even join a read in flight, because nothing would report that it is stale.
            self.keep_listening();
            return self.inner.read(id, idle).await;
        }
        self.fetch(id, idle).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        // Detaches reads that began earlier.
        drop(self.entries.write(id));
        self.fetch(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let _writing = self.entries.write(id);
        self.inner.write(id, record, condition, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let at = self.now();
        let touched = self.inner.touch(id, seen, ttl).await?;
        if touched {
            self.entries.touched(id, seen, at.after(ttl));
        }
        Ok(touched)
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let _old = self.entries.write(rename.old);
        let _new = (rename.old != rename.new).then(|| self.entries.write(rename.new));
        self.inner.rename(rename).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let _writing = self.entries.write(id);
        self.inner.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.inner.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.inner.count().await
    }

    async fn due(&self) -> Result<Option<u64>> {
        self.inner.due().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.inner.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.inner.as_indexed().map(|_| self as &dyn Indexed)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.inner.as_scan()
    }

    fn as_immediate(&self) -> Option<&dyn Immediate> {
        Some(self)
    }
}

/// Hits do not wait.
impl Immediate for Cached {
    fn read_at_once(&self, id: &StorageId, _idle: Duration) -> Option<Result<Option<Record>>> {
        self.hit(id).map(|record| Ok(Some(record)))
    }
}

#[async_trait]
impl Indexed for Cached {
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.index()?.list(owner, after, limit).await
    }

    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let ended = self.index()?.end_owner(owner, limit).await;
        // Also after an error: some sessions may have ended.
        self.entries.ended(owner, self.now());
        ended
    }
}

impl Cached {
    fn index(&self) -> Result<&dyn Indexed> {
        let missing = || Error::new(ErrorKind::Unsupported, "the engine keeps no index of owners");
        self.inner.as_indexed().ok_or_else(missing)
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .field("max_stale", &self.settings.max_stale)
            .field("bus", &self.bus())
            .finish_non_exhaustive()
    }
}
