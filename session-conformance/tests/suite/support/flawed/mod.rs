//! The reference with one flaw: what its methods do wrong.

mod write;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_conformance::async_trait;
use session_conformance::layers::ByWrites;
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::engine::{
    Condition, Cursor, DestroyOutcome, Indexed, Listed, Page, Rename, Scan, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Header, Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};
use tokio::task::yield_now;

use super::{Flaw, Reference};

/// The reference with this flaw.
pub struct Flawed {
    inner: Arc<Reference>,
    /// Another place of the same storage.
    neighbour: Arc<Reference>,
    flaw: Flaw,
    /// Answers on the way, as on one connection.
    wire: Mutex<VecDeque<Result<Option<Record>>>>,
    /// What reads showed.
    shown: Mutex<HashMap<StorageId, Record>>,
    calls: AtomicUsize,
}

impl Flawed {
    pub fn new(inner: Arc<Reference>, neighbour: Arc<Reference>, flaw: Flaw) -> Self {
        Self {
            inner,
            neighbour,
            flaw,
            wire: Mutex::default(),
            shown: Mutex::default(),
            calls: AtomicUsize::new(0),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Stores whatever is there.
    fn force(&self, id: &StorageId, record: &Record, ttl: Duration) -> Result<WriteOutcome> {
        let cas = self.inner.put(&mut self.inner.map(), id, record.encode()?, ttl);
        Ok(WriteOutcome::stored_with_cas(cas))
    }

    fn revive(&self, id: &StorageId) {
        if let Some(entry) = self.inner.map().get_mut(id) {
            entry.ends = self.inner.clock.now().after(Duration::from_secs(60));
        }
    }

    /// When what is under the id ends is now up to the test's flaw.
    fn end(&self, id: &StorageId, ends: Timestamp) {
        if let Some(entry) = self.inner.map().get_mut(id) {
            entry.ends = ends;
        }
    }

    /// What goes wrong before any method does its work.
    fn begin(&self, ttl: Duration) {
        if self.has(Flaw::Blocks) {
            std::thread::sleep(Duration::from_micros(50));
        }
        if self.has(Flaw::OverflowsLifetimes) {
            i64::try_from(ttl.as_millis()).expect("a lifetime of 63 bits");
        }
    }

    /// The error as a careless engine words it.
    fn worded(&self, id: &StorageId, error: Error) -> Error {
        let bytes = self.inner.map().get(id).map(|entry| entry.bytes.clone()).unwrap_or_default();
        match self.flaw {
            Flaw::ErrorsShowIds => Error::new(error.kind(), format!("at {}", id.to_text())),
            Flaw::ErrorsShowRecords => error.with_source(format!("unexpected value in {bytes:?}")),
            _ => error,
        }
    }

    /// Whether it is time for something that happens now and then.
    fn now_and_then(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % 40 == 39
    }

    fn is_tombstone(&self, id: &StorageId) -> bool {
        let bytes = self.inner.map().get(id).map(|entry| entry.bytes.clone());
        bytes.and_then(|bytes| Record::decode(bytes).ok()).is_some_and(|record| !record.is_live())
    }

    fn id(&self, id: &StorageId) -> StorageId {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&id.as_bytes()[..16.min(id.as_bytes().len())]);
        if self.has(Flaw::CutsIds) && id.as_plain().is_none() {
            StorageId::from_hash(hash)
        } else {
            id.clone()
        }
    }
}

#[async_trait]
impl Provider for Flawed {
    fn engine(&self) -> &'static str {
        "flawed"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let id = &self.id(id);
        self.begin(idle);
        match self.flaw {
            Flaw::ServesExpired => self.revive(id),
            Flaw::SlidesInSecret => {
                if let Some(record) = self.inner.read(id, idle).await? {
                    self.inner.touch(id, &record, idle).await?;
                }
            }
            Flaw::AdoptsIds => {
                let now = self.inner.clock.now();
                let blank = Record::new(
                    Header::new(now, now.after(idle), now.after(idle)),
                    session_core::record::Body::default(),
                );
                self.inner.write(id, &blank, Condition::Absent, idle).await?;
            }
            Flaw::ServesStale => {
                let now = self.inner.read(id, idle).await?;
                let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                return Ok(match (now, shown.get(id)) {
                    (Some(_), Some(before)) if self.now_and_then() => Some(before.clone()),
                    (now, _) => {
                        shown.extend(now.clone().map(|now| (id.clone(), now)));
                        now
                    }
                });
            }
            Flaw::HidesUnreadable => {
                return Ok(self.inner.read(id, idle).await.unwrap_or_default());
            }
            Flaw::MistakesNewer => {
                let read = self.inner.read(id, idle).await;
                let newer = |error: Error| match error.kind() {
                    ErrorKind::Unsupported => Error::new(ErrorKind::Corrupt, "not understood"),
                    _ => error,
                };
                return read.map_err(newer);
            }
            Flaw::MixesAnswersUp => {
                let answer = self.inner.read(id, idle).await;
                self.wire.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
                yield_now().await;
                let answer = self.wire.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                return answer.unwrap_or(Ok(None));
            }
            _ => {}
        }
        self.inner.read(id, idle).await.map_err(|error| self.worded(id, error))
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let id = &self.id(id);
        self.begin(ttl);
        if let Some(outcome) = self.write_wrongly(id, record, condition, ttl).await? {
            return Ok(outcome);
        }
        self.inner.write(id, record, condition, ttl).await.map_err(|error| self.worded(id, error))
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let id = &self.id(id);
        self.begin(ttl);
        match self.flaw {
            Flaw::TouchesTombstones if self.is_tombstone(id) => {
                self.end(id, self.inner.clock.now().after(ttl));
                return Ok(true);
            }
            Flaw::TouchesPastTheEnd => {
                let touched = self.inner.touch(id, seen, ttl).await?;
                if touched {
                    self.end(id, self.inner.clock.now().after(ttl));
                }
                return Ok(touched);
            }
            Flaw::TouchWritesBack if self.inner.exists(id).await? => {
                self.force(id, seen, ttl)?;
                return Ok(true);
            }
            Flaw::TouchRevives => self.revive(id),
            Flaw::TouchRewrites => {
                let Some(read) = self.inner.read(id, ttl).await? else { return Ok(false) };
                let record = Record::new(read.header.next(), read.body.clone());
                let outcome = self.inner.write(id, &record, Condition::Over(read.stamp()), ttl).await?;
                return Ok(matches!(outcome, WriteOutcome::Stored(_)));
            }
            Flaw::TakesDaysForADate if ttl > Duration::from_secs(30 * 24 * 3_600) => {
                return self.inner.touch(id, seen, Duration::ZERO).await;
            }
            _ => {}
        }
        self.inner.touch(id, seen, ttl).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.begin(rename.ttl);
        if let Some(outcome) = self.rename_wrongly(rename).await? {
            return Ok(outcome);
        }
        // The default, on this very provider.
        let same = Self::new(Arc::clone(&self.inner), Arc::clone(&self.neighbour), self.flaw);
        ByWrites(Arc::new(same)).rename(rename).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let id = &self.id(id);
        self.begin(Duration::ZERO);
        match self.flaw {
            Flaw::DestroysTombstones if self.is_tombstone(id) => {
                self.inner.map().remove(id);
                return Ok(DestroyOutcome::Destroyed);
            }
            Flaw::DestroysBlindly => return self.inner.destroy(id, None).await,
            Flaw::KeepsUnreadable => {
                self.inner.read(id, Duration::from_secs(60)).await?;
            }
            _ => {}
        }
        self.inner.destroy(id, expected).await.map_err(|error| self.worded(id, error))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let id = &self.id(id);
        self.begin(Duration::ZERO);
        match self.flaw {
            Flaw::ServesExpired => self.revive(id),
            Flaw::ExistsSlides if self.inner.exists(id).await? => self.revive(id),
            Flaw::CountsTombstones | Flaw::FindsTombstones if self.is_tombstone(id) => return Ok(true),
            _ => {}
        }
        self.inner.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        if self.has(Flaw::CountsTombstones) {
            return Ok(u64::try_from(self.inner.map().len()).ok());
        }
        self.inner.count().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        match self.flaw {
            Flaw::KeepsTombstones => {
                let tombstones: Vec<_> = self.inner.map().keys().cloned().collect();
                let tombstones: Vec<_> = tombstones.into_iter().filter(|id| self.is_tombstone(id)).collect();
                let ends: Vec<_> = tombstones
                    .iter()
                    .map(|id| {
                        self.inner
                            .map()
                            .get_mut(id)
                            .map(|entry| std::mem::replace(&mut entry.ends, Timestamp::MAX))
                    })
                    .collect();
                let removed = self.inner.gc(limit).await;
                for (id, ends) in tombstones.iter().zip(ends) {
                    self.end(id, ends.unwrap_or(Timestamp::MAX));
                }
                removed
            }
            Flaw::CollectsNeighbours => {
                self.neighbour.map().clear();
                self.inner.gc(limit).await
            }
            Flaw::OverflowsLimits => {
                let limit =
                    i32::try_from(limit).map_err(|_| Error::new(ErrorKind::Unavailable, "syntax error"))?;
                self.inner.gc(limit.unsigned_abs() as usize).await
            }
            Flaw::CollectsNothing => Ok(0),
            Flaw::CollectsWithoutLimit => self.inner.gc(usize::MAX).await,
            Flaw::CollectsTheLiving => {
                let mut map = self.inner.map();
                let some: Vec<_> = map.keys().take(limit).cloned().collect();
                map.retain(|id, _| !some.contains(id));
                Ok(some.len())
            }
            _ => self.inner.gc(limit).await,
        }
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

#[async_trait]
impl Indexed for Flawed {
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let mut page = match self.flaw {
            Flaw::ListsStrangers => self.inner.scan(after, limit).await?,
            _ => self.inner.list(owner, after, limit).await?,
        };
        match self.flaw {
            Flaw::ListSlides => {
                for Listed { id, record, .. } in &page.sessions {
                    self.inner.touch(id, record, session_conformance::LONG).await?;
                }
            }
            Flaw::ListsTwice => {
                let before_last = page.sessions.len().checked_sub(2).map(|at| &page.sessions[at].id);
                page.next = page.next.and(before_last.map(Cursor::after));
            }
            _ => {}
        }
        Ok(page)
    }

    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        if self.has(Flaw::EndsTheFirstPage)
            && self.shown.lock().is_ok_and(|mut shown| {
                let mark = StorageId::from_hash(owner.0);
                let before = Record::new(
                    Header::new(Timestamp::MAX, Timestamp::MAX, Timestamp::MAX),
                    session_core::record::Body::default(),
                );
                shown.insert(mark, before).is_some()
            })
        {
            return Ok(0);
        }
        self.inner.end_owner(owner, limit).await
    }
}

#[async_trait]
impl Scan for Flawed {
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let mut page = self.inner.scan(after, limit).await?;
        if self.has(Flaw::WalksPastMoved) {
            let moved: Vec<_> = self.inner.scan(None, usize::MAX).await?.sessions;
            let is_target = |id: &StorageId| {
                moved.iter().any(|other| matches!(&other.record.header.state, State::Moved(to) if to == id))
            };
            page.sessions.retain(|listed| !is_target(&listed.id));
        }
        Ok(page)
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Flaw::ShowsIds) {
            return f.debug_list().entries(self.inner.map().keys().map(StorageId::to_text)).finish();
        }
        f.write_str("Flawed")
    }
}
