//! The sessions of an owner: one document per owner, in addition to the records.

use async_trait::async_trait;
use session_core::accounts::Owner;
use session_core::clock::Timestamp;
use session_core::engine::{Cursor, Indexed, Page};
use session_core::entries::{self, KeepsEntries, OwnerEntries, Seen};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::ENGINE;
use crate::document::{Document, MAX_DOCUMENT};
use crate::errors::Answer;
use crate::provider::CouchbaseProvider;

impl CouchbaseProvider {
    fn index(&self, owner: &Owner) -> Document<'_> {
        // No id contains a `~`.
        let key = format!("{}owner~{}", self.prefix, StorageId::from_hash(owner.0).to_text());
        Document { key, ..self.document(&StorageId::from_hash(owner.0)) }
    }
}

#[async_trait]
impl Indexed for CouchbaseProvider {
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
impl KeepsEntries for CouchbaseProvider {
    async fn entries(&self, owner: &Owner) -> Result<Option<(OwnerEntries, u64)>> {
        let Some(fetched) = self.index(owner).fetch().await? else { return Ok(None) };
        let entries = OwnerEntries::decode(&fetched.bytes).map_err(|error| error.in_engine(ENGINE))?;
        Ok(Some((entries, fetched.cas)))
    }

    async fn store_entries(&self, owner: &Owner, entries: &OwnerEntries, token: u64) -> Result<bool> {
        let (bytes, life) = (entries.encode(), entries.lifetime(self.clock.now()));
        if bytes.len() > MAX_DOCUMENT {
            let why = "the list of its owner's sessions has reached the limit of Couchbase's documents: end some \
                       of them";
            return Err(Error::new(ErrorKind::TooManySessions, why).in_engine(ENGINE));
        }
        let index = self.index(owner);
        let answer = match token {
            0 => index.insert(&bytes, life).await?,
            token => index.replace(&bytes, life, token).await?,
        };
        Ok(matches!(answer, Answer::Done(_)))
    }

    async fn look(&self, id: &StorageId) -> Result<Option<Record>> {
        self.document(id).look().await
    }

    fn seen(&self) -> &Seen {
        &self.seen
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
