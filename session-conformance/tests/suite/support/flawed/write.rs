//! What writes and renames do wrong.

use std::time::Duration;

use session_core::clock::Timestamp;
use session_core::engine::{Condition, Rename, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Provider as _, Result};
use tokio::task::yield_now;

use super::{Flaw, Flawed};

impl Flawed {
    /// A write by an engine with this flaw; `None` when it does nothing wrong.
    #[allow(clippy::too_many_lines, reason = "one arm for each flaw")]
    pub(super) async fn write_wrongly(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<Option<WriteOutcome>> {
        match (self.flaw, condition) {
            (Flaw::CreatesOverCorrupt, Condition::Absent) if self.inner.read(id, ttl).await.is_err() => {
                return self.force(id, record, ttl).map(Some);
            }
            (Flaw::CreatesOverTombstones, Condition::Absent) if self.is_tombstone(id) => {
                return self.force(id, record, ttl).map(Some);
            }
            (Flaw::MixesStamps, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                if let WriteOutcome::Stored(_) = outcome {
                    yield_now().await;
                    let cas = self.inner.map().get(id).map_or(0, |entry| entry.cas);
                    return Ok(Some(WriteOutcome::stored_with_cas(cas)));
                }
                return Ok(Some(outcome));
            }
            (Flaw::DeniesWrites, Condition::Over(_)) if self.now_and_then() => {
                self.inner.write(id, record, condition, ttl).await?;
                return Err(Error::new(ErrorKind::Unavailable, "no answer"));
            }
            (Flaw::ResendsInSecret, Condition::Over(_)) => {
                let record = without_history(record)?;
                if self.now_and_then() {
                    self.inner.write(id, &record, condition, ttl).await?;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                return self.inner.write(id, &record, condition, ttl).await.map(Some);
            }
            (Flaw::DropsSessions, Condition::Over(_)) if self.now_and_then() => {
                self.inner.map().remove(id);
            }
            (Flaw::WritesPastTheEnd, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                if matches!(outcome, WriteOutcome::Stored(_)) {
                    self.end(id, self.inner.clock.now().after(ttl));
                }
                return Ok(Some(outcome));
            }
            (Flaw::RefusalsSlide, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                if matches!(outcome, WriteOutcome::Refused(_)) {
                    self.end(id, self.inner.clock.now().after(ttl));
                }
                return Ok(Some(outcome));
            }
            (Flaw::LosesUpdates, Condition::Over(_)) if self.inner.exists(id).await? => {
                return self.force(id, record, ttl).map(Some);
            }
            (Flaw::ChecksThenWrites, _) => {
                let current = self.inner.read(id, ttl).await?;
                let holds = match (condition, &current) {
                    (Condition::Absent, current) => current.is_none(),
                    (Condition::Over(stamp), Some(current)) => stamp.version == current.header.version(),
                    (Condition::Over(_), None) => false,
                };
                tokio::time::sleep(Duration::from_millis(1)).await;
                if !holds {
                    return Ok(Some(WriteOutcome::refused(current)));
                }
                return self.force(id, record, ttl).map(Some);
            }
            (Flaw::Resurrects, Condition::Over(_)) if self.inner.read(id, ttl).await?.is_none() => {
                return self.force(id, record, ttl).map(Some);
            }
            (Flaw::RevivesExpired, Condition::Over(_)) => self.revive(id),
            (Flaw::SwallowsLifetimes, Condition::Over(_)) => {
                let ends = self.inner.map().get(id).map(|entry| entry.ends);
                let outcome = self.inner.write(id, record, condition, ttl).await;
                if let (Some(entry), Some(ends)) = (self.inner.map().get_mut(id), ends) {
                    entry.ends = ends;
                }
                return outcome.map(Some);
            }
            (Flaw::TakesDaysForADate, _) if ttl > Duration::from_secs(30 * 24 * 3_600) => {
                return self.inner.write(id, record, condition, Duration::ZERO).await.map(Some);
            }
            (Flaw::RoundsDown, _) if ttl < Duration::from_millis(1) => {
                return self.inner.write(id, record, condition, Duration::MAX).await.map(Some);
            }
            (Flaw::ForgetsTokens, _) => {
                let record = without_history(record)?;
                return self.inner.write(id, &record, condition, ttl).await.map(Some);
            }
            (Flaw::RefusesBlindly, _) => {
                let outcome = self.inner.write(id, record, condition, ttl).await?;
                let stored = matches!(outcome, WriteOutcome::Stored(_));
                return Ok(Some(if stored { outcome } else { WriteOutcome::refused(None) }));
            }
            (Flaw::DropsOwners, _) => {
                let mut record = record.clone();
                record.header.owner = None;
                return self.inner.write(id, &record, condition, ttl).await.map(Some);
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
                return Ok(Some(outcome));
            }
            _ => {}
        }
        Ok(None)
    }

    /// A rename by an engine with this flaw; `None` when it does nothing wrong.
    pub(super) async fn rename_wrongly(&self, rename: &Rename<'_>) -> Result<Option<WriteOutcome>> {
        let current = self.inner.read(rename.old, rename.ttl).await?;
        let held = current.as_ref().is_some_and(|current| current.header.version() == rename.over.version);
        match self.flaw {
            Flaw::RenameKeepsDeadline if held => {
                let outcome = self.inner.rename(rename).await?;
                self.end(rename.new, current.map_or(Timestamp::MAX, |current| current.header.deadline));
                return Ok(Some(outcome));
            }
            Flaw::RenameKeepsOwner if held => {
                let mut record = rename.record.clone();
                record.header.owner = current.and_then(|current| current.header.owner);
                let Rename { old, over, new, ttl, tombstone, .. } = *rename;
                return self
                    .inner
                    .rename(&Rename::new((old, over), (new, &record, ttl), tombstone))
                    .await
                    .map(Some);
            }
            Flaw::TombstonesForEver | Flaw::TombstonesEndAtOnce if held => {
                let outcome = self.inner.rename(rename).await?;
                let at_once = self.has(Flaw::TombstonesEndAtOnce);
                self.end(rename.old, if at_once { self.inner.clock.now() } else { Timestamp::MAX });
                return Ok(Some(outcome));
            }
            Flaw::RenameLosesWrites if current.as_ref().is_some_and(Record::is_live) => {
                self.force(rename.old, rename.tombstone, session_core::engine::TOMBSTONE_TTL)?;
                return self.force(rename.new, rename.record, rename.ttl).map(Some);
            }
            Flaw::RenameCopies if held => {
                return self.force(rename.new, rename.record, rename.ttl).map(Some);
            }
            Flaw::RenamesOnce => {
                if !held {
                    return Ok(Some(WriteOutcome::refused(current)));
                }
                self.force(rename.old, rename.tombstone, session_core::engine::TOMBSTONE_TTL)?;
                return self.force(rename.new, rename.record, rename.ttl).map(Some);
            }
            Flaw::RenameLeavesRubbish if !held && !self.is_tombstone(rename.old) => {
                self.force(rename.new, rename.record, rename.ttl)?;
                return Ok(Some(WriteOutcome::refused(current)));
            }
            _ => {}
        }
        Ok(None)
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
