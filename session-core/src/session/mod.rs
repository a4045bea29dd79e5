//! The session that handlers use: a typed handle over a live session.

mod account;
mod csrf;
mod flash;
mod key;
mod store;
mod values;

use std::fmt;
use std::sync::Arc;

pub use flash::{Flash, Level};
pub use key::{AnyKey, Key, ReadKey, WriteKey};
pub use store::Store;

use crate::Result;
use crate::clock::Timestamp;
use crate::commit::{self, Create, Then};
use crate::id::Token;
use crate::live::{Found, Live, LoadState, Messenger};
use crate::record::Body;
use crate::shared::Shared;

/// A handle to the session of a request. Clones are handles to the same session.
///
/// Reads and changes need no I/O; [`release`](Self::release) stores the changes, and adapters call
/// it before the response head is sent. Changes of concurrent requests are merged key by key.
///
/// Keys that begin with `~` belong to the library (messages, the CSRF secret):
/// [`keys`](Self::keys), [`entries`](Self::entries) and [`is_empty`](Self::is_empty) skip them,
/// [`flush`](Self::flush) deletes them too.
///
/// # Where a session outlives its request
///
/// After the request a handle accepts no more changes: they fail with
/// [`Released`](crate::ErrorKind::Released) and are never lost silently. A websocket, a stream or a
/// task that keeps the handle reloads the session and saves it itself:
///
/// ```
/// # async fn demo(session: session_core::Session) -> session_core::Result<()> {
/// session.reload().await?; // an error when the user has logged out meanwhile
/// session.set("seen", &7)?;
/// session.save().await?; // the handle stays usable
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Live>);

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, found: Found) -> Self {
        Self(Arc::new(Live::new(shared, found, Messenger::Caller)))
    }

    /// Creates the session of a request, which will be released.
    pub(crate) fn of_request(shared: Arc<Shared>, found: Found) -> Self {
        Self(Arc::new(Live::new(shared, found, Messenger::Response)))
    }

    /// Creates an empty session in place of one that was ended without being loaded; a new one may
    /// begin.
    pub(crate) fn ended(shared: Arc<Shared>, was_there: bool) -> Self {
        let session = Self::of_request(shared, Found::default());
        session.0.state().ended = was_there;
        session
    }

    /// Returns what the load found: whether the client is new, has a session, or had one that has
    /// ended.
    pub fn load_state(&self) -> LoadState {
        self.0.state().found
    }

    /// Returns the token of the client or, after the release, the token that the client must have
    /// from now on; `None` while nothing is stored.
    pub fn token(&self) -> Option<Token> {
        self.0.state().stored.as_ref().map(|stored| stored.token.clone())
    }

    /// Returns whether this session is not in the store (yet).
    pub fn is_new(&self) -> bool {
        self.0.state().stored.is_none()
    }

    /// Returns whether the release has something to store: a change, a new id, owner or class.
    pub fn is_modified(&self) -> bool {
        self.0.state().is_modified()
    }

    /// Returns when the session ends unless it is used; `None` while nothing is stored.
    pub fn idle_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.deadline)
    }

    /// Returns when the session ends regardless of activity; `None` while nothing is stored.
    pub fn absolute_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.absolute)
    }

    /// Returns when the session was first stored; `None` while nothing is stored.
    pub fn created(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.created)
    }

    /// Returns a snapshot of all keys and encoded values.
    pub fn body(&self) -> Body {
        self.0.state().body.clone()
    }

    /// Stores the changes. Afterwards the handle shows the committed values and accepts no more
    /// changes.
    ///
    /// A session that was never written to is not created, and an unchanged one is not rewritten
    /// (at most its idle deadline is extended). After a conflict this request's changes are applied
    /// to the newer record and stored again, until the operation's deadline. Calling it again does
    /// nothing. Adapters call it; call it yourself when the response depends on the committed
    /// values, or outside of a web framework.
    ///
    /// Round trips: 0 without changes (1 when a write must extend the idle deadline), 1 for a
    /// create, 1 for an update, 2 for a regeneration (1 on SQL engines), 1 for changes that result
    /// in the loaded values (a read, to check for concurrent writes); one more for each conflict.
    ///
    /// [`Gone`](crate::ErrorKind::Gone) or [`Expired`](crate::ErrorKind::Expired) when the session
    /// ended meanwhile, [`Conflict`](crate::ErrorKind::Conflict),
    /// [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown),
    /// [`TooLarge`](crate::ErrorKind::TooLarge): nothing is stored (at most once with
    /// `OutcomeUnknown`), and the handle accepts no more changes.
    pub async fn release(&self) -> Result<()> {
        commit::release(&self.0, Create::Allowed, Then::Close).await
    }

    /// Like [`release`](Self::release), but does not create a session that is not in the store.
    pub async fn release_if_present(&self) -> Result<()> {
        commit::release(&self.0, Create::Never, Then::Close).await
    }

    /// Stores the changes now. The handle then shows the committed values and accepts further
    /// changes.
    ///
    /// For long-lived connections and tasks, and to commit a change in the middle of a handler.
    /// Round trips and errors are those of [`release`](Self::release); after an error the handle
    /// accepts no more changes until [`reload`](Self::reload). On a handle whose request has ended,
    /// call `reload` first.
    pub async fn save(&self) -> Result<()> {
        commit::release(&self.0, Create::Allowed, Then::KeepOpen).await
    }

    /// Drops unsaved changes, reads the session again, and accepts changes again, even after its
    /// request has ended: from then on only [`save`](Self::save) stores them. One round trip, none
    /// for a session that was never stored.
    ///
    /// After the request nothing tells the client of a new token. Such a handle keeps its id: a
    /// save with a sign-in, a new id or another class is [`Released`](crate::ErrorKind::Released).
    /// Where a change needs a token (a visitor without a session, an engine that leaves the record
    /// with the client), the handle reads, and takes none.
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when the session has ended or has another id: the user
    /// logged out, or in.
    pub async fn reload(&self) -> Result<()> {
        commit::reload(&self.0).await
    }

    /// Reads the session again from the engine, never from a cache, and applies the changes of this
    /// handle to it. One round trip, none for a session that was never stored.
    ///
    /// For a request that must not act on a stale read (a payment, a change of privileges), where
    /// the engine declares [`max_stale`](crate::Capabilities::max_stale). The values are current at
    /// the moment of the read; use [`update`](Self::update) and [`take`](Self::take) for decisions
    /// that must hold when they are stored.
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when the session has ended or has another id,
    /// [`Conflict`](crate::ErrorKind::Conflict) when a change cannot be applied to the newer record
    /// (another request took the value), [`Released`](crate::ErrorKind::Released) after the
    /// release. After an error the handle is unchanged.
    ///
    /// ```
    /// # async fn demo(session: &session_core::Session) -> session_core::Result<()> {
    /// session.fresh().await?; // an error when another server has logged the user out
    /// let may_pay: bool = session.get("may_pay")?.unwrap_or_default();
    /// # let _ = may_pay; Ok(()) }
    /// ```
    pub async fn fresh(&self) -> Result<()> {
        commit::fresh(&self.0).await
    }

    /// Ends the session in the store now: a logout. Every other request that still has it can no
    /// longer store anything, and its id finds nothing. One round trip; none when nothing is
    /// stored.
    ///
    /// Returns `Ok` also when it had already ended. Every live session that the client presented is
    /// ended. A value that is set afterwards in the same request starts a new session (a message
    /// for the next page).
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when nothing was found and the handle was loaded more than
    /// a minute ago: the session may still exist under an id that replaced this one.
    #[doc(alias = "purge")]
    pub async fn destroy(&self) -> Result<()> {
        commit::destroy(&self.0).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
