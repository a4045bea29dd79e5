//! What an engine implements: records by storage id, written conditionally.

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

/// One storage system. Object-safe; everything that is true of every session is in the core, so an engine has
/// little to get right: a conditional write, a read, a conditional delete, and deadlines.
///
/// # What every method keeps
///
/// - **Expired is not there.** A record whose idle deadline (or absolute deadline, where the engine keeps the
///   header) has passed is absent for every method, also before it was collected.
/// - **Atomic.** A condition is checked, and its write done, as one step of the storage.
/// - **Any future may be dropped at any await.** A connection with an unread answer is closed, never reused:
///   another user's session would be read from it.
/// - **Errors are honest.** [`Unavailable`](crate::ErrorKind::Unavailable) means that nothing was changed;
///   where a write may have been applied it is [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
///   Neither carries an id or a password. Nothing panics.
/// - **Deadlines are the caller's.** The manager drops a call that takes too long. An engine adds no retry loop
///   of its own; where its driver resends by itself, a refusal says so.
#[async_trait]
#[doc(alias = "SessionStore")]
pub trait Provider: Send + Sync + fmt::Debug + 'static {
    /// The engine's name, as it is registered.
    fn engine(&self) -> &'static str;

    /// What this engine can do.
    fn capabilities(&self) -> Capabilities;

    /// Called once by a manager with the text that client-side records are bound to (cookie name and domain), so
    /// that a sealed record cannot be moved to another cookie. Engines on a server have no use for it.
    fn bind(&self, scope: &str) -> Result<()> {
        let _ = scope;
        Ok(())
    }

    /// Reads a record, tombstones included. One round trip.
    ///
    /// Where [`slides_on_read`](Capabilities::slides_on_read) is declared, the idle deadline of a live record
    /// moves to `idle` from now in the same round trip (not beyond the absolute deadline, where the engine can see it).
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Unsupported`](crate::ErrorKind::Unsupported) when what is stored
    /// is no record.
    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>>;

    /// As [`read`](Self::read), and never from a cache. Engines without one have nothing to do.
    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.read(id, idle).await
    }

    /// Stores a record that ends by itself after `ttl` (never zero; rounded up to the engine's granularity),
    /// if the condition holds. One round trip when it does.
    ///
    /// A driver must not repeat a create ([`Condition::Absent`]) by itself while the first one may still
    /// arrive: arriving after a logout, it would bring the session back. The core repeats a create under
    /// another id.
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when the engine cannot hold it; what was stored before stays.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome>;

    /// Moves the idle deadline of a live record to `ttl` from now without a new version; `seen` is the record
    /// as it was read. Says whether the record was there. Never revives one that has expired. One round trip.
    ///
    /// Called only where reads do not slide.
    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let _ = seen;
        Ok(self.read(id, ttl).await?.is_some_and(|record| record.is_live()))
    }

    /// Moves a session to a new id: stores the record under `new` and makes the one under `old` a tombstone, if
    /// `old` still has the version that was read; on a refusal nothing is left under `new`.
    /// Idempotent: called again with the same arguments after a lost answer it finds its own tokens and says stored.
    /// Where the client holds the record the engine names the new session itself, and `new` is the old id.
    ///
    /// The default is made of two conditional writes, two round trips. An engine that can do it in one overrides it.
    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        rename::by_writes(self, rename).await
    }

    /// Removes a session, if it still has the stamp, when one is given; also a record that cannot be read.
    ///
    /// A tombstone is left where it is, and the answer says where the session went, so that the caller can follow.
    /// One round trip with a current stamp; engines whose protocol cannot look and remove in one step need two without.
    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome>;

    /// Whether there is a live session under the id. Does not slide. One round trip.
    async fn exists(&self, id: &StorageId) -> Result<bool>;

    /// How many sessions there are; `None` where the engine cannot tell. May lag by one idle time.
    async fn count(&self) -> Result<Option<u64>>;

    /// How many records [`gc`](Self::gc) would remove now; `None` where the engine cannot tell, or ends them by
    /// itself. Costs what has expired where there is an index on it, else a walk.
    async fn due(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Removes up to about `limit` expired records and returns how many. Fewer than `limit` means that, for now,
    /// there are no more; but a call that has taken a second may end early, and none at all then means the same.
    /// Costs what has expired, not what is stored.
    async fn gc(&self, limit: usize) -> Result<usize>;

    /// The engine as one that finds the sessions of an owner, where it does; see
    /// [`Capabilities::owner_index`](Capabilities::owner_index).
    fn as_indexed(&self) -> Option<&dyn Indexed> {
        None
    }

    /// The engine as one that can walk over all its records, where it can.
    fn as_scan(&self) -> Option<&dyn Scan> {
        None
    }

    /// The engine as one that has most answers at hand, where it has.
    fn as_immediate(&self) -> Option<&dyn Immediate> {
        None
    }

    /// The engine as one that reports changes to caches, where that is switched on.
    fn as_notify(&self) -> Option<&dyn Notify> {
        None
    }
}

/// When a write may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Only when there is nothing under the id.
    Absent,
    /// Only over the record that was read.
    Over(Stamp),
}

/// What became of a conditional write. Deciding whether a refusal is a conflict, an ended session or the echo of
/// a write that was already applied is the core's task.
#[derive(Debug, Clone)]
pub enum WriteOutcome {
    /// The condition held and the record is stored.
    Stored(Stored),
    /// The condition did not hold; nothing was stored.
    Refused(Refusal),
}

/// What a write that was stored leaves to know.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stored {
    /// What the client must hold from now on, where the client holds the record.
    pub token: Option<Token>,
    /// The engine's own compare token of what is stored now; zero when it has or knows none.
    pub cas: u64,
}

/// Why a conditional write was refused.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Refusal {
    /// What is stored under the id now (a tombstone too); `None` when there is nothing.
    pub current: Option<Box<Record>>,
    /// The driver may have sent the write more than once, so that the first one may have been applied.
    pub resent: bool,
}

impl WriteOutcome {
    /// Stored; the engine compares versions only.
    #[must_use]
    pub const fn stored() -> Self {
        Self::Stored(Stored { token: None, cas: 0 })
    }

    /// Stored, with the engine's own compare token.
    #[must_use]
    pub const fn stored_with_cas(cas: u64) -> Self {
        Self::Stored(Stored { token: None, cas })
    }

    /// Stored in what the client holds, with the engine's own compare token, zero where it has none.
    #[must_use]
    pub const fn stored_in(token: Token, cas: u64) -> Self {
        Self::Stored(Stored { token: Some(token), cas })
    }

    /// Refused, sent once.
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

/// What became of a removal.
#[derive(Debug, Clone)]
pub enum DestroyOutcome {
    /// The session was there and is not any more.
    Destroyed,
    /// There was nothing.
    Absent,
    /// There is a tombstone: the session has this id now.
    Moved(StorageId),
    /// The stamp did not match; this is what is stored.
    Refused(Box<Record>),
}

/// How long a tombstone is kept: longer than a request that still holds the old id.
pub const TOMBSTONE_TTL: Duration = Duration::from_secs(60);

/// The arguments of [`Provider::rename`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rename<'a> {
    /// The id that ends.
    pub old: &'a StorageId,
    /// What must still be stored under it.
    pub over: Stamp,
    /// The id that begins.
    pub new: &'a StorageId,
    /// What is stored under the new id.
    pub record: &'a Record,
    /// When the new record ends by itself.
    pub ttl: Duration,
    /// What is stored under the old id for [`TOMBSTONE_TTL`].
    pub tombstone: &'a Record,
}

impl<'a> Rename<'a> {
    /// All six, for those who call a provider directly.
    #[must_use]
    pub const fn new(
        (old, over): (&'a StorageId, Stamp),
        (new, record, ttl): (&'a StorageId, &'a Record, Duration),
        tombstone: &'a Record,
    ) -> Self {
        Self { old, over, new, record, ttl, tombstone }
    }
}
