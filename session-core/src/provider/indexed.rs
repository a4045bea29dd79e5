//! The abilities to find sessions otherwise than by their id: those of an owner, and all of them.

use async_trait::async_trait;

use super::{DestroyOutcome, Provider};
use crate::id::StorageId;
use crate::record::{Owner, Record, Stamp, Version};
use crate::{Error, ErrorKind, Result};

/// A session that was found by its owner or by a walk, as it is stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// Under which id.
    pub id: StorageId,
    /// What is stored, with the idle deadline as the engine knows it.
    pub record: Record,
}

impl Listed {
    /// A record and its id.
    #[must_use]
    pub const fn new(id: StorageId, record: Record) -> Self {
        Self { id, record }
    }
}

/// Where a list goes on: what the engine needs to know for it, which means nothing to anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Box<[u8]>);

impl Cursor {
    /// After this session, for a list that is ordered by id.
    #[must_use]
    pub fn after(id: &StorageId) -> Self {
        let kind = u8::from(id.as_plain().is_some());
        Self(std::iter::once(kind).chain(id.as_bytes().iter().copied()).collect())
    }

    /// The session that was given to [`after`](Self::after); [`Config`](ErrorKind::Config) for another cursor.
    pub fn id(&self) -> Result<StorageId> {
        let id = match self.0.split_first() {
            Some((0, hash)) => hash.try_into().ok().map(StorageId::from_hash),
            Some((1, text)) => std::str::from_utf8(text).ok().and_then(|text| StorageId::plain(text).ok()),
            _ => None,
        };
        id.ok_or_else(|| Error::config("the cursor belongs to another list: start without one"))
    }
}

/// A part of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What was found: no more than was asked for, and not always as many, also when there are more.
    pub sessions: Vec<Listed>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// The sessions of an owner. An engine that keeps an index of owners returns itself from
/// [`Provider::as_indexed`] and declares in [`Capabilities::owner_index`](crate::Capabilities::owner_index) what it can.
///
/// The promise: **a live session whose write was acknowledged is in the list of its owner, and in no other.** An index
/// beside the records may have entries of which nothing is left; a reader removes such entries and does not
/// return them. So the index is written first, and the record after it.
#[async_trait]
pub trait Indexed: Provider {
    /// Up to `limit` (at least 1) live sessions of an owner, in an order of the engine's own; costs what the owner's
    /// sessions cost. A session that keeps its id during the whole list is on one of its pages once.
    ///
    /// Does not slide. [`Unsupported`](ErrorKind::Unsupported) where the engine can only end them.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page>;

    /// Ends up to `limit` (at least 1) sessions of an owner and says how many; zero means that there is none left that was
    /// stored before the call. An engine that can only end all of them does so at once, and says zero.
    ///
    /// The default lists and destroys one at a time.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let mut after = None;
        loop {
            let page = self.list(owner, after.as_ref(), limit).await?;
            let mut ended = 0;
            for listed in &page.sessions {
                ended += usize::from(end_listed(self, owner, listed).await?);
            }
            after = page.next;
            if ended > 0 || after.is_none() {
                return Ok(ended);
            }
        }
    }
}

/// Every record, for tools: a copy to another engine, a statistic.
#[async_trait]
pub trait Scan: Provider {
    /// Up to `limit` (at least 1) records in an order of the engine's own, tombstones included. A record that is there during
    /// the whole walk is on at least one of its pages; one that comes or goes meanwhile may be on none. Does not slide.
    ///
    /// Records that cannot be read are left out.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page>;
}

/// How many regenerations in a row are followed.
const MOVES: usize = 8;

/// Ends a session of an owner, also when it was written or given a new id since it was listed; leaves it alone when
/// it has another owner by now. Says whether it was ended here. One round trip, one more for each such change.
pub async fn end_listed<P: Provider + ?Sized>(provider: &P, owner: &Owner, listed: &Listed) -> Result<bool> {
    let mut id = listed.id.clone();
    let mut stamp = Some(listed.record.stamp());
    for _ in 0..MOVES {
        match provider.destroy(&id, stamp).await? {
            DestroyOutcome::Destroyed => return Ok(true),
            DestroyOutcome::Absent => return Ok(false),
            DestroyOutcome::Moved(new) => {
                // Its owner may have changed with its id: a stamp that nothing has shows what is there.
                (id, stamp) = (new, Some(Stamp { version: Version::default(), cas: 0 }));
            }
            DestroyOutcome::Refused(newer) if newer.header.owner != Some(*owner) => return Ok(false),
            DestroyOutcome::Refused(newer) => stamp = Some(newer.stamp()),
        }
    }
    Err(Error::new(ErrorKind::Conflict, "it changes faster than it can be ended").during("destroy"))
}
