//! The sessions of an owner: a document for each owner, beside the records.
//!
//! The entry is written before the record, and acknowledged: what a crash leaves over is an entry of nothing, which the
//! next reader of the list removes when it is five minutes old. Both replace the document by its compare token, so that
//! no entry is removed that was made meanwhile. What the owner of a stored record is, this process knows from having read
//! it: a write by the same owner does not look at the index.

use async_trait::async_trait;
use session_core::accounts::Owner;
use session_core::engine::{Condition, Cursor, Indexed, Listed, Page, end_listed};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{ErrorKind, Result};
use tokio::task::JoinSet;

use crate::document::{Document, check_size};
use crate::entries::OwnerEntries;
use crate::errors::Answer;
use crate::provider::CouchbaseProvider;

/// How many sessions are looked at in one call.
const MOST: usize = 256;
/// At a multiple of so many entries, what is left over is removed.
const TIDY: usize = 128;

impl CouchbaseProvider {
    /// Takes note of the owner of a record as it is stored.
    pub(crate) fn note(&self, record: &Record) {
        if let (Some(owner), true) = (record.header.owner, record.is_live()) {
            self.seen.note(record.header.version(), (owner, record.header.absolute));
        }
    }

    /// Makes the entry of a session that is about to be written, unless the record that it is written over has one.
    pub(crate) async fn enter(&self, id: &StorageId, record: &Record, condition: Condition) -> Result<()> {
        let Some(owner) = record.header.owner.filter(|_| record.is_live()) else { return Ok(()) };
        let absolute = record.header.absolute;
        if let Condition::Over(stamp) = condition
            && self.seen.get(&stamp.version) == Some((owner, absolute))
        {
            return Ok(());
        }
        let index = self.index(&owner);
        loop {
            let now = self.clock.now();
            let (mut entries, cas) = index.entries().await?.unwrap_or_default();
            if !entries.enter(id, absolute, now) {
                return Ok(());
            }
            match index.store_entries(&entries, cas).await {
                Ok(Answer::Done(_)) => {
                    if entries.len() % TIDY == 0 {
                        self.tidy(owner);
                    }
                    return Ok(());
                }
                Ok(Answer::Absent | Answer::Differs) => {}
                // Nothing was changed that anybody sees.
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                    let message = "the index of the session's owner was not written";
                    return Err(session_core::Error::new(ErrorKind::Unavailable, message).with_source(error));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads all records of an owner, which removes what is left over in the index; nobody waits.
    fn tidy(&self, owner: Owner) {
        let provider = self.clone();
        tokio::spawn(async move {
            let mut after = None;
            while let Ok(page) = provider.list(&owner, after.as_ref(), MOST).await {
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        });
    }

    fn index(&self, owner: &Owner) -> Document<'_> {
        // No id has a `~`.
        let key = format!("{}owner~{}", self.prefix, StorageId::from_hash(owner.0).to_text());
        Document { key, ..self.document(&StorageId::from_hash(owner.0)) }
    }
}

#[async_trait]
impl Indexed for CouchbaseProvider {
    /// Two round trips, and one more where entries are left over; no more than 256 sessions, in the order of their ids.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let index = self.index(owner);
        let Some((mut entries, cas)) = index.entries().await? else { return Ok(Page::default()) };
        let (ids, next) = entries.page(after, limit.clamp(1, MOST))?;
        let mut reading = JoinSet::new();
        for (place, id) in ids.iter().cloned().enumerate() {
            let provider = self.clone();
            reading.spawn(async move { (place, provider.document(&id).look().await) });
        }
        let mut records = reading.join_all().await;
        records.sort_unstable_by_key(|(place, _)| *place);
        let (mut sessions, mut left_over) = (Vec::new(), Vec::new());
        for (id, (_, record)) in ids.into_iter().zip(records) {
            match record {
                // A tombstone leads to where the session is now.
                Ok(Some(record)) if record.header.owner == Some(*owner) => {
                    self.note(&record);
                    sessions.push(Listed::new(id, record));
                }
                Ok(_) => left_over.push(id),
                // A record that cannot be read is neither shown nor gone.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {}
                Err(error) => return Err(error),
            }
        }
        if entries.leave(&left_over, self.clock.now()) {
            // If somebody was faster, the next reader removes them.
            index.store_entries(&entries, cas).await?;
        }
        Ok(Page { sessions, next })
    }

    /// As [`list`](Self::list), and one round trip for all that are ended, two for those that change meanwhile.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let mut after = None;
        loop {
            let page = self.list(owner, after.as_ref(), limit).await?;
            let mut ending = JoinSet::new();
            for listed in page.sessions {
                let (provider, owner) = (self.clone(), *owner);
                ending.spawn(async move { end_listed(&provider, &owner, &listed).await });
            }
            let mut ended = 0;
            for result in ending.join_all().await {
                ended += usize::from(result?);
            }
            after = page.next;
            if ended > 0 || after.is_none() {
                return Ok(ended);
            }
        }
    }
}

impl Document<'_> {
    /// The index that is stored here, and its compare token.
    async fn entries(&self) -> Result<Option<(OwnerEntries, u64)>> {
        let Some(fetched) = self.fetch().await? else { return Ok(None) };
        Ok(Some((OwnerEntries::decode(&fetched.bytes)?, fetched.cas)))
    }

    /// Stores an index over what has this compare token, or where there is nothing when it is zero.
    async fn store_entries(&self, entries: &OwnerEntries, cas: u64) -> Result<Answer<u64>> {
        let (bytes, life) = (entries.encode(), entries.lifetime(self.clock.now()));
        check_size(bytes.len())?;
        match cas {
            0 => self.insert(&bytes, life).await,
            cas => self.replace(&bytes, life, cas).await,
        }
    }
}
