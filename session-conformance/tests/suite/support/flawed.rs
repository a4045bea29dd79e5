//! The reference with one flaw, as engines have had them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_conformance::async_trait;
use session_core::{
    Capabilities, Condition, DestroyOutcome, Error, ErrorKind, Header, Provider, Record, Rename, Result,
    Stamp, StorageId, WriteOutcome,
};
use tokio::task::yield_now;

use super::Reference;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A write ignores the version that was read.
    LosesUpdates,
    /// The condition is checked in one step, and the write done in another.
    ChecksThenWrites,
    /// A replace creates what is not there.
    Resurrects,
    /// What has expired is still served.
    ServesExpired,
    /// A write over a record that has expired is done.
    RevivesExpired,
    /// A touch of a record that has expired brings it back.
    TouchRevives,
    /// A touch draws a new version.
    TouchRewrites,
    /// A read of an unknown id begins a session under it.
    AdoptsIds,
    /// The tokens of the last writes are not kept.
    ForgetsTokens,
    /// A refusal does not show what is stored.
    RefusesBlindly,
    /// A replace keeps the time to live of before.
    SwallowsLifetimes,
    /// Times to live above thirty days are taken for a date.
    TakesDaysForADate,
    /// Times to live are cut to whole milliseconds, and zero means for ever.
    RoundsDown,
    /// Reads move the deadline, though that is not declared.
    SlidesInSecret,
    /// `exists` moves the deadline.
    ExistsSlides,
    /// A rename does not look at the version.
    RenameLosesWrites,
    /// A rename leaves the session under the old id as well.
    RenameCopies,
    /// A rename does not recognise itself when it is sent again.
    RenamesOnce,
    /// A refused rename leaves the record under the new id.
    RenameLeavesRubbish,
    /// A destroy removes a tombstone, and says that it ended a session.
    DestroysTombstones,
    /// A destroy ignores the stamp.
    DestroysBlindly,
    /// A destroy does not remove what cannot be read.
    KeepsUnreadable,
    /// Tombstones are sessions for `exists` and `count`.
    CountsTombstones,
    /// A collection removes what lives.
    CollectsTheLiving,
    /// A collection removes everything at once.
    CollectsWithoutLimit,
    /// A collection does nothing.
    CollectsNothing,
    /// Only the first half of an id counts.
    CutsIds,
    /// The owner is not stored.
    DropsOwners,
    /// An unreadable record looks like none.
    HidesUnreadable,
    /// A newer format is taken for damage.
    MistakesNewer,
    /// A dropped read leaves its answer for the next one.
    MixesAnswersUp,
    /// A write that is dropped half-way leaves half a record.
    WritesHalf,
    /// Its debug output shows the ids that it holds.
    ShowsIds,
}

/// The reference with this flaw.
pub struct Flawed {
    inner: Arc<Reference>,
    flaw: Flaw,
    /// Answers on the way, as on one connection.
    wire: Mutex<VecDeque<Result<Option<Record>>>>,
}

impl Flawed {
    pub fn new(inner: Arc<Reference>, flaw: Flaw) -> Self {
        Self { inner, flaw, wire: Mutex::default() }
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

/// The record with a history of one: as an engine with a version column has it.
fn without_history(record: &Record) -> Result<Record> {
    let mut bytes = record.encode()?;
    bytes[72..128].fill(0);
    let mut sum = crc32fast::Hasher::new();
    for part in [&bytes[..32], &bytes[40..128], &bytes[132..]] {
        sum.update(part);
    }
    bytes[128..132].copy_from_slice(&sum.finalize().to_be_bytes());
    Ok(Record { cas: record.cas, ..Record::decode(bytes)? })
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
                    session_core::Body::default(),
                );
                self.inner.write(id, &blank, Condition::Absent, idle).await?;
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
        self.inner.read(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let id = &self.id(id);
        match (self.flaw, condition) {
            (Flaw::LosesUpdates, Condition::Over(_)) if self.inner.exists(id).await? => {
                return self.force(id, record, ttl);
            }
            (Flaw::ChecksThenWrites, _) => {
                let current = self.inner.read(id, ttl).await?;
                let holds = match (condition, &current) {
                    (Condition::Absent, current) => current.is_none(),
                    (Condition::Over(stamp), Some(current)) => stamp.version == current.header.version(),
                    (Condition::Over(_), None) => false,
                };
                tokio::time::sleep(Duration::from_millis(1)).await;
                return if holds { self.force(id, record, ttl) } else { Ok(WriteOutcome::refused(current)) };
            }
            (Flaw::Resurrects, Condition::Over(_)) if self.inner.read(id, ttl).await?.is_none() => {
                return self.force(id, record, ttl);
            }
            (Flaw::RevivesExpired, Condition::Over(_)) => self.revive(id),
            (Flaw::SwallowsLifetimes, Condition::Over(_)) => {
                let ends = self.inner.map().get(id).map(|entry| entry.ends);
                let outcome = self.inner.write(id, record, condition, ttl).await;
                if let (Some(entry), Some(ends)) = (self.inner.map().get_mut(id), ends) {
                    entry.ends = ends;
                }
                return outcome;
            }
            (Flaw::TakesDaysForADate, _) if ttl > Duration::from_secs(30 * 24 * 3_600) => {
                return self.inner.write(id, record, condition, Duration::ZERO).await;
            }
            (Flaw::RoundsDown, _) if ttl < Duration::from_millis(1) => {
                return self.inner.write(id, record, condition, Duration::MAX).await;
            }
            (Flaw::ForgetsTokens, _) => {
                let record = without_history(record)?;
                return self.inner.write(id, &record, condition, ttl).await;
            }
            (Flaw::RefusesBlindly, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                let stored = matches!(outcome, WriteOutcome::Stored(_));
                return Ok(if stored { outcome } else { WriteOutcome::refused(None) });
            }
            (Flaw::DropsOwners, _) => {
                let mut record = record.clone();
                record.header.owner = None;
                return self.inner.write(id, &record, condition, ttl).await;
            }
            (Flaw::WritesHalf, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                if matches!(outcome, WriteOutcome::Stored(_)) {
                    let whole = record.encode()?;
                    let half = |bytes: &[u8]| self.inner.put(&mut self.inner.map(), id, bytes.to_vec(), ttl);
                    half(&whole[..whole.len() / 2]);
                    yield_now().await;
                    half(&whole);
                }
                return Ok(outcome);
            }
            _ => {}
        }
        self.inner.write(id, record, condition, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let id = &self.id(id);
        match self.flaw {
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
        let current = self.inner.read(rename.old, rename.ttl).await?;
        let held = current.as_ref().is_some_and(|current| current.header.version() == rename.over.version);
        match self.flaw {
            Flaw::RenameLosesWrites if current.as_ref().is_some_and(Record::is_live) => {
                self.force(rename.old, rename.tombstone, session_core::TOMBSTONE_TTL)?;
                return self.force(rename.new, rename.record, rename.ttl);
            }
            Flaw::RenameCopies if held => return self.force(rename.new, rename.record, rename.ttl),
            Flaw::RenamesOnce => {
                if !held {
                    return Ok(WriteOutcome::refused(current));
                }
                self.force(rename.old, rename.tombstone, session_core::TOMBSTONE_TTL)?;
                return self.force(rename.new, rename.record, rename.ttl);
            }
            Flaw::RenameLeavesRubbish if !held && !self.is_tombstone(rename.old) => {
                self.force(rename.new, rename.record, rename.ttl)?;
                return Ok(WriteOutcome::refused(current));
            }
            _ => {}
        }
        // The default, on this very provider.
        session_conformance::layers::ByWrites(Arc::new(Self::new(Arc::clone(&self.inner), self.flaw)))
            .rename(rename)
            .await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let id = &self.id(id);
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
        self.inner.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let id = &self.id(id);
        match self.flaw {
            Flaw::ServesExpired => self.revive(id),
            Flaw::ExistsSlides if self.inner.exists(id).await? => self.revive(id),
            Flaw::CountsTombstones if self.is_tombstone(id) => return Ok(true),
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
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Flaw::ShowsIds) {
            return f.debug_list().entries(self.inner.map().keys().map(StorageId::to_text)).finish();
        }
        f.write_str("Flawed")
    }
}
