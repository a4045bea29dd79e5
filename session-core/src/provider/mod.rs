//! The trait that an engine implements: records by storage id, with conditional writes.

mod immediate;
mod indexed;
mod notify;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use immediate::Immediate;
pub use indexed::{Cursor, Indexed, Listed, Page, Scan, end_listed};
pub use notify::{Listener, Notice, Notify};

use crate::id::{StorageId, Token};
use crate::record::{Record, Stamp};
use crate::{Capabilities, Result, rename};

/// One storage system. The trait is object-safe. Everything that is true of every session is in the
/// core, so an engine implements little: a conditional write, a read, a conditional delete, and
/// deadlines.
///
/// # Requirements of every method
///
/// - **Expired records are absent.** A record whose idle deadline (or absolute deadline, if the
///   engine keeps the header) has passed is absent for every method, even before it is collected.
/// - **Writes are atomic.** Checking a condition and writing are one step of the storage.
/// - **Any future may be dropped at any await.** A connection with an unread answer is closed,
///   never reused: the next request would read another user's session from it.
/// - **Errors are exact.** [`Unavailable`](crate::ErrorKind::Unavailable) means that nothing was
///   changed; if a write may have been applied, the error is
///   [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown). Neither contains an id or a password.
///   Nothing panics.
/// - **The caller enforces deadlines.** The manager drops a call that takes too long. An engine
///   adds no retry loop; if its driver resends by itself, refusals are marked as resent.
#[async_trait]
#[doc(alias = "SessionStore")]
pub trait Provider: Send + Sync + fmt::Debug + 'static {
    /// Returns the name under which the engine is registered.
    fn engine(&self) -> &'static str;

    /// Returns the capabilities of this engine.
    fn capabilities(&self) -> Capabilities;

    /// A manager calls this once with the scope of client-side records (cookie name and domain), so
    /// that a sealed record cannot be moved to another cookie. Server-side engines ignore it.
    fn bind(&self, scope: &str) -> Result<()> {
        let _ = scope;
        Ok(())
    }

    /// Reads a record or a tombstone. One round trip.
    ///
    /// If [`slides_on_read`](Capabilities::slides_on_read) is declared, the idle deadline of a live
    /// record moves to `idle` from now in the same round trip (not beyond the absolute deadline, if
    /// the engine knows it). [`Corrupt`](crate::ErrorKind::Corrupt) or
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the stored bytes are not a record.
    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>>;

    /// Like [`read`](Self::read), but never from a cache. Engines without a cache use the default.
    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.read(id, idle).await
    }

    /// Stores a record that expires after `ttl` (never zero; rounded up to the engine's
    /// granularity), if the condition holds. One round trip when it does.
    ///
    /// A driver must not repeat a create ([`Condition::Absent`]) by itself while the first one may
    /// still arrive: arriving after a logout, it would bring the session back. The core repeats a
    /// create under another id.
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when the record exceeds the engine's limit; the
    /// stored record stays.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome>;

    /// Moves the idle deadline of a live record to `ttl` from now without a new version; `seen` is
    /// the record that was read. Returns whether the record exists. Never revives an expired
    /// record. One round trip.
    ///
    /// Called only if reads do not extend the idle deadline.
    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let _ = seen;
        Ok(self.read(id, ttl).await?.is_some_and(|record| record.is_live()))
    }

    /// Moves a session to a new id: stores the record under `new` and makes the one under `old` a
    /// tombstone, if `old` still has the version that was read; after a refusal nothing is left
    /// under `new`. The call is idempotent: repeated with the same arguments after a lost answer,
    /// it finds its own tokens and returns "stored". A client-side engine makes the new token
    /// itself, and `new` is the old id.
    ///
    /// The default consists of two conditional writes, in two round trips. An engine that needs
    /// only one overrides it.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        rename::by_writes(self, rename).await
    }

    /// Removes a session, or an unreadable record; if a stamp is given, only if the record still
    /// has it.
    ///
    /// A tombstone stays, and its target is returned, so that the caller can follow it. One round
    /// trip with a current stamp; without one, engines that cannot read and remove in one step need
    /// two.
    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome>;

    /// Returns whether there is a live session under the id, without extending its idle deadline.
    /// One round trip.
    async fn exists(&self, id: &StorageId) -> Result<bool>;

    /// Returns the number of sessions; `None` if the engine does not know it. It may lag by one
    /// idle timeout.
    async fn count(&self) -> Result<Option<u64>>;

    /// Returns the number of records that [`gc`](Self::gc) would remove now; `None` if the engine
    /// does not know it, or expires records by itself. The cost depends on the number of expired
    /// records if they are indexed; otherwise it is a scan.
    async fn due(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Removes up to about `limit` expired records, and returns their number. Fewer than `limit`
    /// means that there are currently no more; but a call that has taken a second may end early,
    /// and only zero then means the same. The cost depends on the number of expired records, not on
    /// that of stored ones.
    async fn gc(&self, limit: usize) -> Result<usize>;

    /// Returns the engine's index of owners, if it has one; see
    /// [`Capabilities::owner_index`](Capabilities::owner_index).
    fn as_indexed(&self) -> Option<&dyn Indexed> {
        None
    }

    /// Returns the engine's scan over all records, if it has one.
    fn as_scan(&self) -> Option<&dyn Scan> {
        None
    }

    /// Returns the engine's synchronous calls, if it has them.
    fn as_immediate(&self) -> Option<&dyn Immediate> {
        None
    }

    /// Returns the engine's notices of changes for caches, if they are switched on.
    fn as_notify(&self) -> Option<&dyn Notify> {
        None
    }
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There must be no record under the id.
    Absent,
    /// The record must still have this stamp.
    Over(Stamp),
}

/// The outcome of a conditional write. The core decides whether a refusal is a conflict, an ended
/// session or the echo of a write that was already applied.
#[derive(Debug, Clone)]
pub enum WriteOutcome {
    /// The condition held and the record is stored.
    Stored(Stored),
    /// The condition did not hold; nothing was stored.
    Refused(Refusal),
}

/// The result of a stored write.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stored {
    /// The client's new token, if the client holds the record.
    pub token: Option<Token>,
    /// The engine's own compare token of the stored record; zero if it has none or does not know
    /// it.
    pub cas: u64,
}

/// The reason why a conditional write was refused.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Refusal {
    /// The record or tombstone that is now stored under the id; `None` if there is none.
    pub current: Option<Box<Record>>,
    /// The driver may have sent the write more than once, so the first copy may have been applied.
    pub resent: bool,
}

impl WriteOutcome {
    /// Stored, by an engine that compares only versions.
    #[must_use]
    pub const fn stored() -> Self {
        Self::Stored(Stored { token: None, cas: 0 })
    }

    /// Stored, with the engine's own compare token.
    #[must_use]
    pub const fn stored_with_cas(cas: u64) -> Self {
        Self::Stored(Stored { token: None, cas })
    }

    /// Stored in the client's token, with the engine's own compare token, or zero if it has none.
    #[must_use]
    pub const fn stored_in(token: Token, cas: u64) -> Self {
        Self::Stored(Stored { token: Some(token), cas })
    }

    /// Refused, by an engine whose driver sent the write once.
    #[must_use]
    pub fn refused(current: Option<Record>) -> Self {
        Self::Refused(Refusal { current: current.map(Box::new), resent: false })
    }

    /// Refused, by an engine whose driver may have resent the write.
    #[must_use]
    pub fn refused_after_resend(current: Option<Record>) -> Self {
        Self::Refused(Refusal { current: current.map(Box::new), resent: true })
    }
}

/// The outcome of a removal.
#[derive(Debug, Clone)]
pub enum DestroyOutcome {
    /// The session was removed.
    Destroyed,
    /// There was no record.
    Absent,
    /// There is a tombstone: the session now has this id.
    Moved(StorageId),
    /// The stamp did not match; this is the stored record.
    Refused(Box<Record>),
}

/// The lifetime of a tombstone: longer than any request that still has the old id.
pub const TOMBSTONE_TTL: Duration = Duration::from_secs(60);

/// The arguments of [`Provider::rename`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rename<'a> {
    /// The old id.
    pub old: &'a StorageId,
    /// The stamp that the record under the old id must still have.
    pub over: Stamp,
    /// The new id.
    pub new: &'a StorageId,
    /// The record for the new id.
    pub record: &'a Record,
    /// The time to live of the new record.
    pub ttl: Duration,
    /// The tombstone for the old id, kept for [`TOMBSTONE_TTL`].
    pub tombstone: &'a Record,
}

impl<'a> Rename<'a> {
    /// Combines all arguments, for code that calls a provider directly.
    #[must_use]
    pub const fn new(
        (old, over): (&'a StorageId, Stamp),
        (new, record, ttl): (&'a StorageId, &'a Record, Duration),
        tombstone: &'a Record,
    ) -> Self {
        Self { old, over, new, record, ttl, tombstone }
    }
}
