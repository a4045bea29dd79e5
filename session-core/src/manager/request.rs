//! The session of one request, loaded on first use.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::OnceCell;

use super::{Manager, Reply};
use crate::commit::{self, Create, Releasing, Then, Trust};
use crate::session::Session;
use crate::shared::{EndedBy, EventKind};
use crate::transport::{Candidates, Connection, CookieContext, Source};
use crate::{Error, ErrorKind, Result};

/// The session of a request, which an adapter keeps for the whole request:
/// [`session`](Self::session) loads it once for all callers. It ends with [`finish`](Self::finish)
/// or [`abandon`](Self::abandon): after that it loads nothing and accepts no changes.
pub struct RequestSession {
    manager: Manager,
    presented: Candidates,
    session: OnceCell<Session>,
    over: AtomicBool,
}

impl RequestSession {
    pub(super) const fn new(manager: Manager, presented: Candidates) -> Self {
        Self { manager, presented, session: OnceCell::const_new(), over: AtomicBool::new(false) }
    }

    /// Returns the manager of the session.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Returns whether the client presented no text that could be a token of this manager.
    pub const fn presents_nothing(&self) -> bool {
        self.presented.is_empty()
    }

    /// Returns the session; the first call loads it. One round trip, none without a well-formed
    /// token.
    ///
    /// A client without a session, or with one that has ended, gets a new one that is stored when
    /// it is written to; [`Session::load_state`] distinguishes the two.
    /// [`Unavailable`](ErrorKind::Unavailable) and [`Unsupported`](ErrorKind::Unsupported) are
    /// errors: a failing engine never looks like a logged-out user.
    /// [`Released`](ErrorKind::Released) when the request has ended before the first call.
    pub async fn session(&self) -> Result<Session> {
        if let Some(session) = self.session.get() {
            return Ok(session.clone());
        }
        self.must_be_open("load")?;
        match self.load_at_once() {
            Some(session) => self.loaded(session),
            // Boxed, so that the future of a handler, which contains this one, stays small.
            None => Box::pin(self.load()).await,
        }
    }

    /// Loads the session synchronously. `None` if the engine cannot, or if another task is loading
    /// or ending the session.
    fn load_at_once(&self) -> Option<&Session> {
        let shared = &self.manager.0;
        let found = commit::find_at_once(shared, self.presented.iter())?;
        self.session.set(Session::of_request(Arc::clone(shared), found)).ok()?;
        self.session.get()
    }

    async fn load(&self) -> Result<Session> {
        let load = async || {
            let shared = &self.manager.0;
            let found =
                commit::find(shared, &shared.operation("load", false), self.presented.iter(), Trust::Client)
                    .await?;
            Ok(Session::of_request(Arc::clone(shared), found))
        };
        self.loaded(self.session.get_or_try_init(load).await?)
    }

    fn loaded(&self, session: &Session) -> Result<Session> {
        if let Err(error) = self.must_be_open("load") {
            // The request ended while the session was loaded.
            session.0.close();
            return Err(error);
        }
        Ok(session.clone())
    }

    /// Ends the session that the client presents without reading it: a logout in one round trip
    /// (one for each token, when there are several). Returns `Ok` also when there was none.
    pub async fn destroy(&self) -> Result<()> {
        if self.session.get().is_none() {
            self.must_be_open("destroy")?;
        }
        // The cell is filled by a load, whose session is then ended, or by this function.
        let shared = &self.manager.0;
        let end = async || {
            let ids: Vec<_> = self.presented.iter().map(|token| shared.storage_id(token)).collect();
            let owner = Arc::clone(shared);
            let end_all = async move {
                let whole = owner.operation("destroy", true);
                if ids.len() > 1 {
                    whole.begin();
                }
                let mut live = false;
                for id in &ids {
                    if commit::end(&owner, &whole, id, None).await? {
                        live = true;
                        owner.events.emit(EventKind::Destroyed(EndedBy::Logout), id, None);
                    }
                }
                Ok(live)
            };
            let live = commit::detached(end_all).await?;
            Ok(Session::ended(Arc::clone(shared), live))
        };
        self.session.get_or_try_init(end).await?.destroy().await
    }

    fn must_be_open(&self, operation: &'static str) -> Result<()> {
        if !self.over.load(Ordering::Acquire) {
            return Ok(());
        }
        let message = "the request of this session has ended; load the session again through the manager";
        Err(Error::new(ErrorKind::Released, message).during(operation))
    }

    /// Releases the session, if it was loaded, and returns the session's part of the response. An
    /// adapter calls it before it sends the response head.
    ///
    /// An error means that changes are not stored and that the response must not report success;
    /// [`owed`](Self::owed) returns the headers that an error response must still carry. An error
    /// that the handler itself has received is not reported again.
    pub fn finish(&self, connection: Connection<'_>) -> Finish {
        self.finish_in(self.context(connection))
    }

    /// Like [`finish`](Self::finish), for an adapter that called
    /// [`Transport::context`](crate::transport::Transport::context) while it had the request's
    /// head.
    pub fn finish_in(&self, context: CookieContext) -> Finish {
        self.over.store(true, Ordering::Release);
        if let Some(session) = self.session.get() {
            session.0.in_request.store(false, Ordering::Relaxed);
        }
        Finish { session: self.session.get().cloned(), by_url: self.by_url(), context, release: None }
    }

    /// Ends the request without storing the changes of its handler, for a handler that did not
    /// finish: it was cancelled by a timeout, panicked, or answered with a server error. Changes
    /// that it saved itself stay stored.
    ///
    /// Returns the session's part of the response. No I/O.
    pub fn abandon(&self, connection: Connection<'_>) -> Result<Reply> {
        self.abandon_in(&self.context(connection))
    }

    /// Like [`abandon`](Self::abandon), with the context that an adapter kept.
    pub fn abandon_in(&self, context: &CookieContext) -> Result<Reply> {
        self.close();
        self.owed_in(context)
    }

    /// Like [`abandon_in`](Self::abandon_in), for a handler that left a save or a logout in
    /// progress: waits for it, within the operation timeout, so that the client learns of a new id.
    /// `None` when nothing is in progress.
    pub fn abandon_under_way(&self, context: &CookieContext) -> Option<Finish> {
        self.close();
        let session = self.session.get().filter(|session| session.0.is_committing())?.clone();
        let release = Some(commit::settled(&session.0));
        Some(Finish { session: Some(session), by_url: self.by_url(), context: context.clone(), release })
    }

    /// Returns the session's part of a response for the current state. A response that reports an
    /// error of [`finish`](Self::finish) needs it too, if the handler has already stored a new id.
    pub fn owed(&self, connection: Connection<'_>) -> Result<Reply> {
        self.owed_in(&self.context(connection))
    }

    /// Like [`owed`](Self::owed), with the context that an adapter kept.
    pub fn owed_in(&self, context: &CookieContext) -> Result<Reply> {
        let Some(session) = self.session.get() else { return Ok(Reply::default()) };
        Reply::of(session, self.by_url(), context)
    }

    fn context(&self, connection: Connection<'_>) -> CookieContext {
        self.manager.0.transport.context(connection)
    }

    /// Ends the request of a handler that was dropped before it answered: no more changes are
    /// accepted, and none are stored.
    pub fn close(&self) {
        // A request that has already ended is left alone: its handle may have been reloaded.
        if !self.over.swap(true, Ordering::AcqRel)
            && let Some(session) = self.session.get()
        {
            session.0.close();
        }
    }

    fn by_url(&self) -> bool {
        self.presented.source() == Some(Source::Query)
    }
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSession").field("session", &self.session.get()).finish_non_exhaustive()
    }
}

/// Returns whether the changes of a handler are stored when its response has this status.
///
/// They are not stored after a server error (5xx) or a timeout (408): something failed or did not
/// finish, and a half-done sign-in must not count. They are stored with every other response.
#[must_use]
pub const fn stores_changes(status: u16) -> bool {
    status < 500 && status != 408
}

/// The future of a request's end; see [`RequestSession::finish`]. A release that has begun is
/// finished even when this is dropped.
#[must_use = "a future does nothing before it is awaited"]
pub struct Finish {
    session: Option<Session>,
    by_url: bool,
    context: CookieContext,
    release: Option<Releasing>,
}

impl Future for Finish {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Reply>> {
        let Self { session, by_url, context: cookie, release } = &mut *self;
        let Some(session) = session else { return Poll::Ready(Ok(Reply::default())) };
        if release.is_some() || !session.0.state().handler_knows_failure() {
            let begin = || commit::release(&session.0, Create::Allowed, Then::Close);
            ready!(Pin::new(release.get_or_insert_with(begin)).poll(context))?;
        }
        Poll::Ready(Reply::of(session, *by_url, cookie))
    }
}

impl fmt::Debug for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A larger allocation costs several times as much: glibc caches only blocks up to 1,032 bytes
    /// per thread.
    #[test]
    fn the_boxed_future_of_a_load_is_small() {
        fn bytes<'a, F>(_: fn(&'a RequestSession) -> F) -> usize {
            size_of::<F>()
        }
        assert!(bytes(RequestSession::load) <= 1_032, "{} bytes", bytes(RequestSession::load));
    }
}
