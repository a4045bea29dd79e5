//! The sessions of an owner: an item for each owner, beside the records.
//!
//! A server that is full may evict it, and one that restarts forgets it, while the sessions on other servers live on. So a
//! process that reads a session looks for its entry from time to time, and makes it anew.

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

/// How often a process looks for the entry of a session that is in use.
const CHECK_EVERY: Duration = Duration::from_secs(60);

impl MemcacheProvider {
    /// Looks for the entry of a session that was read, when that is due; nobody waits for it.
    pub(crate) fn keep_listed(&self, id: &StorageId, record: &Record) {
        if !self.seen.is_due(record, self.clock.now(), CHECK_EVERY) {
            return;
        }
        let (provider, id, record) = (self.clone(), id.clone(), record.clone());
        tokio::spawn(async move {
            if let Err(error) = entries::put_back(&provider, &id, &record).await {
                tracing::debug!(%error, "the entry of a session in the index of its owner was not looked for");
            }
        });
    }

    fn index(&self, owner: &Owner) -> Slot<'_> {
        // No id has a `~`.
        self.slot_of(format!("{}owner~{}", self.prefix, StorageId::from_hash(owner.0).to_text()))
    }
}

#[async_trait]
impl Indexed for MemcacheProvider {
    /// Two round trips, and one more where entries are left over; no more than 256 sessions, in the order of their ids.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        entries::list(self, owner, after, limit).await
    }

    /// As [`list`](Self::list), and one round trip for all that are ended, two for those that change meanwhile.
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
        if bytes.len() > self.room(&index) {
            // memcached would answer by removing the index.
            let why = "the list of its owner's sessions is as large as an item of memcached may be (`item_max`): end \
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
