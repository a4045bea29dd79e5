//! An index of owners for engines that store a value under a key and compare it by a token: the
//! index of each owner is one such value.
//!
//! The entry is written and acknowledged before the record: a crash leaves at most an entry without
//! a record, which the next reader of the list removes when it is five minutes old. Writers and
//! readers replace the value by its compare token, so that a reader never removes a concurrent
//! entry. A process remembers the owners of the records that it has read ([`Seen`]): a write with
//! the same owner does not access the index.
//!
//! An engine implements [`KeepsEntries`], calls [`enter`] before each write, notes in [`Seen`] the
//! records that it reads and stores, and implements [`Indexed`] with [`list`] and [`end_owner`].

mod seen;
mod value;

use async_trait::async_trait;
use tokio::task::JoinSet;

pub use seen::Seen;
pub use value::OwnerEntries;

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::{Condition, Cursor, Indexed, Listed, Page, end_listed};
use crate::record::{Owner, Record};
use crate::{Error, ErrorKind, Result};

/// The largest number of sessions that one call reads.
const MOST: usize = 256;
/// Whenever the number of entries is a multiple of this, those without a record are removed.
const TIDY: usize = 128;

/// An engine that keeps the index of each owner as one value next to the records. Every method is
/// one round trip.
#[async_trait]
pub trait KeepsEntries: Indexed + Clone {
    /// Reads the index of an owner and its compare token, which is not zero.
    async fn entries(&self, owner: &Owner) -> Result<Option<(OwnerEntries, u64)>>;

    /// Stores an index over the one with this compare token, or creates it if the token is zero;
    /// `false` if the condition does not hold. [`TooManySessions`](ErrorKind::TooManySessions) when
    /// the engine cannot store that many.
    async fn store_entries(&self, owner: &Owner, entries: &OwnerEntries, token: u64) -> Result<bool>;

    /// Reads the record under an id, without extending its idle deadline.
    async fn look(&self, id: &StorageId) -> Result<Option<Record>>;

    /// Returns this process's memory of stored records.
    fn seen(&self) -> &Seen;

    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Creates the entry of a session that is about to be written, unless the record that it replaces
/// has one. Returns when the entry was last seen in the index, for [`Seen::note`].
///
/// Two round trips for a new entry, one if it was just created; none for a record that this process
/// has read and whose owner and absolute deadline stay the same.
pub async fn enter<E: KeepsEntries>(
    engine: &E,
    id: &StorageId,
    record: &Record,
    condition: Condition,
) -> Result<Timestamp> {
    let now = engine.now();
    let Some(owner) = record.header.owner.filter(|_| record.is_live()) else { return Ok(now) };
    if let Condition::Over(stamp) = condition
        && let Some(checked) = engine.seen().entered(stamp.version, owner, record.header.absolute)
    {
        return Ok(checked);
    }
    make_entry(engine, owner, id, record.header.absolute).await?;
    Ok(now)
}

/// Restores the entry of a live session if the index has lost it. One round trip if not.
pub async fn put_back<E: KeepsEntries>(engine: &E, id: &StorageId, record: &Record) -> Result<()> {
    let Some(owner) = record.header.owner.filter(|_| record.is_live()) else { return Ok(()) };
    match engine.entries(&owner).await? {
        Some((entries, _)) if entries.has(id) => Ok(()),
        _ => make_entry(engine, owner, id, record.header.absolute).await,
    }
}

async fn make_entry<E: KeepsEntries>(
    engine: &E,
    owner: Owner,
    id: &StorageId,
    absolute: Timestamp,
) -> Result<()> {
    loop {
        let (mut entries, token) = engine.entries(&owner).await?.unwrap_or_default();
        if !entries.enter(id, absolute, engine.now()) {
            return Ok(());
        }
        match engine.store_entries(&owner, &entries, token).await {
            Ok(true) => {
                if entries.len() % TIDY == 0 {
                    tidy(engine.clone(), owner);
                }
                return Ok(());
            }
            Ok(false) => {}
            // No visible state was changed.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                let message = "the index of the session's owner was not written";
                return Err(Error::new(ErrorKind::Unavailable, message).with_source(error));
            }
            Err(error) => {
                if error.kind() == ErrorKind::TooManySessions {
                    tidy(engine.clone(), owner);
                }
                return Err(error);
            }
        }
    }
}

/// Reads all records of an owner in the background, which removes the entries without a record.
fn tidy<E: KeepsEntries>(engine: E, owner: Owner) {
    tokio::spawn(async move {
        let mut after = None;
        while let Ok(page) = list(&engine, &owner, after.as_ref(), MOST).await {
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    });
}

/// Returns a page of an owner's sessions, at most 256, in the order of their ids. Two round trips,
/// and one more if there are entries without a record.
pub async fn list<E: KeepsEntries>(
    engine: &E,
    owner: &Owner,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page> {
    let Some((mut entries, token)) = engine.entries(owner).await? else { return Ok(Page::default()) };
    let (ids, next) = entries.page(after, limit.clamp(1, MOST))?;
    let mut reading = JoinSet::new();
    for (place, id) in ids.iter().cloned().enumerate() {
        let engine = engine.clone();
        reading.spawn(async move { (place, engine.look(&id).await) });
    }
    let mut records = reading.join_all().await;
    records.sort_unstable_by_key(|(place, _)| *place);
    let now = engine.now();
    let (mut sessions, mut left_over) = (Vec::new(), Vec::new());
    for (id, (_, record)) in ids.into_iter().zip(records) {
        match record {
            // A tombstone has the owner too: ending it follows the session to its new id.
            Ok(Some(record)) if record.header.owner == Some(*owner) => {
                engine.seen().note(&record, now);
                sessions.push(Listed::new(id, record));
            }
            Ok(_) => left_over.push(id),
            // An unreadable record is not listed, but keeps its entry.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {}
            Err(error) => return Err(error),
        }
    }
    if entries.leave(&left_over, now) {
        // If the index has changed meanwhile, the next reader removes them.
        engine.store_entries(owner, &entries, token).await?;
    }
    Ok(Page { sessions, next })
}

/// Ends up to `limit` sessions of an owner. Costs a [`list`], and one round trip for all ended
/// sessions, two for those that change meanwhile.
pub async fn end_owner<E: KeepsEntries>(engine: &E, owner: &Owner, limit: usize) -> Result<usize> {
    let mut after = None;
    loop {
        let page = list(engine, owner, after.as_ref(), limit).await?;
        let mut ending = JoinSet::new();
        for listed in page.sessions {
            let (engine, owner) = (engine.clone(), *owner);
            ending.spawn(async move { end_listed(&engine, &owner, &listed).await });
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
