//! Optional traits for finding sessions by other means than their id: those of an owner, and all of
//! them.

use async_trait::async_trait;

use super::{DestroyOutcome, Provider};
use crate::id::StorageId;
use crate::record::{Owner, Record, Stamp, Version};
use crate::{Error, ErrorKind, Result};

/// A stored session that was found by its owner or by a scan.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// Its id.
    pub id: StorageId,
    /// The stored record, with the engine's idle deadline.
    pub record: Record,
}

impl Listed {
    /// Combines a record with its id.
    #[must_use]
    pub const fn new(id: StorageId, record: Record) -> Self {
        Self { id, record }
    }
}

/// The position in a list. Its content is private to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Box<[u8]>);

impl Cursor {
    /// The position after this session, for a list that is ordered by id.
    #[must_use]
    pub fn after(id: &StorageId) -> Self {
        let kind = u8::from(id.as_plain().is_some());
        Self(std::iter::once(kind).chain(id.as_bytes().iter().copied()).collect())
    }

    /// Returns the id that was passed to [`after`](Self::after); [`Config`](ErrorKind::Config) for
    /// another cursor.
    pub fn id(&self) -> Result<StorageId> {
        let id = match self.0.split_first() {
            Some((0, hash)) => hash.try_into().ok().map(StorageId::from_hash),
            Some((1, text)) => std::str::from_utf8(text).ok().and_then(|text| StorageId::plain(text).ok()),
            _ => None,
        };
        id.ok_or_else(|| Error::config("the cursor belongs to another list: start again without a cursor"))
    }
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The sessions: at most as many as requested, and possibly fewer even if there are more.
    pub sessions: Vec<Listed>,
    /// The position of the next page; `None` at the end.
    pub next: Option<Cursor>,
}

/// The sessions of an owner. An engine that keeps an index of owners returns itself from
/// [`Provider::as_indexed`] and declares its abilities in
/// [`Capabilities::owner_index`](crate::Capabilities::owner_index).
///
/// The promise: **a live session whose write was acknowledged is in the list of its owner, and in
/// no other.** An index that is separate from the records may have entries without a record; a
/// reader removes such entries and does not return them. So the index is written before the record.
#[async_trait]
pub trait Indexed: Provider {
    /// Returns up to `limit` (at least 1) live sessions of an owner, in an order that the engine
    /// chooses. The cost depends on the number of the owner's sessions. A session that keeps its id
    /// during the whole iteration is on exactly one page.
    ///
    /// It does not extend idle deadlines. [`Unsupported`](ErrorKind::Unsupported) if the engine can
    /// only end the sessions.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page>;

    /// Ends up to `limit` (at least 1) sessions of an owner, and returns their number; zero means
    /// that no session is left that was stored before the call. An engine that can only end all of
    /// them does so in one call, and returns zero.
    ///
    /// The default implementation lists the sessions and destroys them one at a time.
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

/// Access to every record, for tools: a copy to another engine, statistics.
#[async_trait]
pub trait Scan: Provider {
    /// Returns up to `limit` (at least 1) records in an order that the engine chooses, including
    /// tombstones. A record that exists during the whole scan is on at least one page; one that is
    /// created or removed meanwhile may be on none. It does not extend idle deadlines.
    ///
    /// Unreadable records are skipped.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page>;
}

/// The number of consecutive regenerations that are followed.
const MOVES: usize = 8;

/// Ends a session of an owner, even if it was written or given a new id since it was listed, unless
/// it now has another owner. Returns whether this call ended it. One round trip, and one more for
/// each such change.
pub async fn end_listed<P: Provider + ?Sized>(provider: &P, owner: &Owner, listed: &Listed) -> Result<bool> {
    let mut id = listed.id.clone();
    let mut stamp = Some(listed.record.stamp());
    for _ in 0..MOVES {
        match provider.destroy(&id, stamp).await? {
            DestroyOutcome::Destroyed => return Ok(true),
            DestroyOutcome::Absent => return Ok(false),
            DestroyOutcome::Moved(new) => {
                // The owner may have changed with the id: a stamp that never matches makes the
                // engine return the record.
                (id, stamp) = (new, Some(Stamp { version: Version::default(), cas: 0 }));
            }
            DestroyOutcome::Refused(newer) if newer.header.owner != Some(*owner) => return Ok(false),
            DestroyOutcome::Refused(newer) => stamp = Some(newer.stamp()),
        }
    }
    Err(Error::new(ErrorKind::Conflict, "it changes faster than it can be ended").during("destroy"))
}
