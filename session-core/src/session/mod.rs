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
/// Reading and changing costs no I/O; [`release`](Self::release) stores what changed, and adapters call it
/// before the response head leaves. Changes made at the same time by other requests are merged key by key.
///
/// Keys that begin with `~` are the library's own (messages, the CSRF secret): [`keys`](Self::keys),
/// [`entries`](Self::entries) and [`is_empty`](Self::is_empty) leave them out, [`flush`](Self::flush) deletes them too.
///
/// # Where a session outlives its request
///
/// After the request a handle takes no more changes: they are an error of the kind
/// [`Released`](crate::ErrorKind::Released) and never lost in silence. A websocket, a stream or a task that keeps the
/// handle reads the session anew and stores for itself:
///
/// ```
/// # async fn demo(session: session_core::Session) -> session_core::Result<()> {
/// session.reload().await?; // an error when the user has logged out meanwhile
/// session.set("seen", &7)?;
/// session.save().await?; // the handle goes on
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Live>);

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, found: Found) -> Self {
        Self(Arc::new(Live::new(shared, found, Messenger::Caller)))
    }

    /// The session of a request, which ends with a release.
    pub(crate) fn of_request(shared: Arc<Shared>, found: Found) -> Self {
        Self(Arc::new(Live::new(shared, found, Messenger::Response)))
    }

    /// What is left of a session that was ended without being loaded: a new one may begin.
    pub(crate) fn ended(shared: Arc<Shared>, was_there: bool) -> Self {
        let session = Self::of_request(shared, Found::default());
        session.0.state().ended = was_there;
        session
    }

    /// What the load found: whether the client is new, has a session, or had one that has ended.
    pub fn load_state(&self) -> LoadState {
        self.0.state().found
    }

    /// What the client holds or, after the release, must hold from now on; `None` while nothing is stored.
    pub fn token(&self) -> Option<Token> {
        self.0.state().stored.as_ref().map(|stored| stored.token.clone())
    }

    /// Whether there is nothing in the store for this session (yet).
    pub fn is_new(&self) -> bool {
        self.0.state().stored.is_none()
    }

    /// Whether the release has something to store: a change, a new id, owner or class.
    pub fn is_modified(&self) -> bool {
        self.0.state().is_modified()
    }

    /// When the session ends unless it is used; `None` while nothing is stored.
    pub fn idle_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.deadline)
    }

    /// When the session ends whatever its user does; `None` while nothing is stored.
    pub fn absolute_deadline(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.absolute)
    }

    /// When the session was first stored; `None` while nothing is stored.
    pub fn created(&self) -> Option<Timestamp> {
        self.0.state().stored.as_ref().map(|stored| stored.record.header.created)
    }

    /// A snapshot of all keys and encoded values.
    pub fn body(&self) -> Body {
        self.0.state().body.clone()
    }

    /// Stores what changed. After it the handle shows the committed values and takes no more changes.
    ///
    /// A session that was never written to is not created, an unchanged one not rewritten (at most its idle
    /// deadline is moved). On a conflict this request's changes are applied to the newer record and stored again,
    /// until the operation's deadline. Calling it again does nothing. Adapters call it; call it yourself when the
    /// answer depends on what was committed, or outside of a web framework.
    ///
    /// Round trips: nothing to store 0 (1 when the idle deadline is due to be moved by a write), create 1,
    /// update 1, regenerate 2 (1 on SQL engines), changes that lead to what was loaded 1 (a read, to see whether
    /// others wrote meanwhile); one more for each conflict.
    ///
    /// [`Gone`](crate::ErrorKind::Gone) or [`Expired`](crate::ErrorKind::Expired) when the session ended meanwhile,
    /// [`Conflict`](crate::ErrorKind::Conflict), [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown), [`TooLarge`](crate::ErrorKind::TooLarge): nothing is
    /// stored (at most once with `OutcomeUnknown`), and the handle takes no more changes.
    pub async fn release(&self) -> Result<()> {
        commit::release(&self.0, Create::Allowed, Then::Close).await
    }

    /// As [`release`](Self::release), but a session that is not in the store is not created.
    pub async fn release_if_present(&self) -> Result<()> {
        commit::release(&self.0, Create::Never, Then::Close).await
    }

    /// Stores what changed, now, and goes on: the handle shows the committed values and takes further changes.
    ///
    /// For long-lived connections and tasks, and to make sure of something half-way through a handler. Round trips and
    /// errors are those of [`release`](Self::release); after an error the handle takes no more changes until
    /// [`reload`](Self::reload). On a handle whose request has ended, call `reload` first.
    pub async fn save(&self) -> Result<()> {
        commit::release(&self.0, Create::Allowed, Then::GoOn).await
    }

    /// Drops changes that were not stored, reads the session anew, and takes changes again, also after its request
    /// has ended: from then on only [`save`](Self::save) stores them. One round trip, none for a session
    /// that was never stored.
    ///
    /// After the request nothing tells the client of a new token. Such a handle keeps its id: a save
    /// with a sign-in, a new id or another class is [`Released`](crate::ErrorKind::Released). Where a
    /// change needs a token (a visitor without a session, an engine that leaves the record with the
    /// client), the handle reads, and takes none.
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when the session has ended or has another id: the user logged out, or in.
    pub async fn reload(&self) -> Result<()> {
        commit::reload(&self.0).await
    }

    /// Reads the session anew from the engine, never from a cache, and keeps what this handle has changed: the changes
    /// are applied to what was read. One round trip, none for a session that was never stored.
    ///
    /// For a request that must not act on a read that is a little old (a payment, a change of rights), where the engine
    /// declares [`max_stale`](crate::Capabilities::max_stale). It is right the moment it returns; what has to be right
    /// when it is stored is decided by [`update`](Self::update) and [`take`](Self::take).
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when the session has ended or has another id,
    /// [`Conflict`](crate::ErrorKind::Conflict) when a change cannot be applied to what was read (another request took
    /// the value), [`Released`](crate::ErrorKind::Released) after the release; the handle shows what it did before then.
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

    /// Ends the session in the store, now: a logout. Every other request that still holds it fails to store
    /// into it, and its id finds nothing. One round trip; none when nothing is stored.
    ///
    /// `Ok` also when it had ended already. Every live session whose cookie came with the request is ended. What is
    /// set afterwards in the same request begins a new session (a message for the next page).
    ///
    /// [`Gone`](crate::ErrorKind::Gone) when nothing was found and the handle was loaded more than a minute ago:
    /// the session may live on under an id that replaced this one.
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
