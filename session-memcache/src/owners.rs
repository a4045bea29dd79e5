//! The sessions of an owner: one item per owner, in addition to the records.
//!
//! A full server may evict it, and a restart loses it, while sessions on other servers remain. A
//! process that reads a session therefore checks its entry from time to time, and recreates it.

use std::time::Duration;

use async_trait::async_trait;
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::engine::{Cursor, Indexed, Page};
use session_core::entries::{self, KeepsEntries, OwnerEntries, Seen};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::ENGINE;
use crate::provider::MemcacheProvider;
use crate::slot::{Answer, Slot};

/// How often a process checks the entry of a session in use.
const CHECK_EVERY: Duration = Duration::from_secs(60);

impl MemcacheProvider {
    /// Checks the entry of a session that was read, if that is due, in the background.
    pub(crate) fn keep_listed(&self, id: &StorageId, record: &Record) {
        if !self.seen.is_due(record, self.clock.now(), CHECK_EVERY) {
            return;
        }
        let (provider, id, record) = (self.clone(), id.clone(), record.clone());
        tokio::spawn(async move {
            if let Err(error) = entries::put_back(&provider, &id, &record).await {
                tracing::debug!(%error, "could not check a session's entry in the index of its owner");
            }
        });
    }

    fn index(&self, owner: &Owner) -> Slot<'_> {
        // No id contains a `~`.
        self.slot_of(format!("{}owner~{}", self.prefix, StorageId::from_hash(owner.0).to_text()))
    }
}

#[async_trait]
impl Indexed for MemcacheProvider {
    /// Two round trips, and one more if there are stale entries; at most 256 sessions, in the order
    /// of their ids.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        entries::list(self, owner, after, limit).await
    }

    /// As [`list`](Self::list), plus one round trip for ending all of them, or two for sessions
    /// that change meanwhile.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        entries::end_owner(self, owner, limit).await
    }
}

#[async_trait]
impl KeepsEntries for MemcacheProvider {
    async fn entries(&self, owner: &Owner) -> Result<Option<(OwnerEntries, u64)>> {
        let Some(item) = self.index(owner).fetch(None).await? else { return Ok(None) };
        let entries = OwnerEntries::decode(&item.bytes).map_err(|error| error.in_engine(ENGINE))?;
        Ok(Some((entries, item.cas)))
    }

    async fn store_entries(&self, owner: &Owner, entries: &OwnerEntries, token: u64) -> Result<bool> {
        let index = self.index(owner);
        let bytes = entries.encode();
        if bytes.len() > self.capacity(&index) {
            // memcached would refuse it and remove the index.
            let why = "the list of its owner's sessions has reached memcached's item size (`item_max`): end \
            some of them";
            return Err(Error::new(ErrorKind::TooManySessions, why).in_engine(ENGINE));
        }
        let set = index.set_bytes(bytes, entries.lifetime(self.clock.now()));
        let answer = match token {
            0 => index.add(set).await?,
            token => index.compare_and_set(set, token).await?,
        };
        Ok(matches!(answer, Answer::Done(_)))
    }

    async fn look(&self, id: &StorageId) -> Result<Option<Record>> {
        self.slot(id).look().await
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
