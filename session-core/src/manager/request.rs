//! The session of one request, not loaded before somebody asks for it.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::OnceCell;

use super::Manager;
use crate::Result;
use crate::commit::{self, Create, Releasing};
use crate::live::Session;
use crate::live::state::{Message, Phase};
use crate::transport::{Candidates, Connection, CookieContext, SET_COOKIE, Source, TokenHeaders};

/// What an adapter keeps for the time of a request, where all who ask find it: [`session`](Self::session) loads once
/// for them.
pub struct RequestSession {
    manager: Manager,
    presented: Candidates,
    session: OnceCell<Session>,
}

impl RequestSession {
    pub(super) const fn new(manager: Manager, presented: Candidates) -> Self {
        Self { manager, presented, session: OnceCell::const_new() }
    }

    /// The manager that it belongs to.
    pub const fn manager(&self) -> &Manager {
        &self.manager
    }

    /// The session, loaded by the first who asks. One round trip, none without a well-formed token.
    ///
    /// A client without a session, or with one that has ended, gets a new one that is stored when it is written to.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Unsupported`](crate::ErrorKind::Unsupported) are errors: a failing engine never
    /// looks like a logged-out user.
    pub async fn session(&self) -> Result<Session> {
        match self.session.get() {
            Some(session) => Ok(session.clone()),
            // Apart, so that the future of a handler, which holds this, stays small.
            None => Box::pin(self.load()).await,
        }
    }

    async fn load(&self) -> Result<Session> {
        let load = async || {
            let shared = &self.manager.0;
            let found = shared.find(self.presented.iter()).await?;
            Ok(Session::new(Arc::clone(shared), found.session, found.ambiguous))
        };
        self.session.get_or_try_init(load).await.cloned()
    }

    /// Ends the session that the client presents without reading it: a logout in one round trip (one for each
    /// token, when there are several). `Ok` also when there was none.
    pub async fn destroy(&self) -> Result<()> {
        // The cell is filled by whoever comes first: a load, which is then ended, or this.
        let shared = &self.manager.0;
        let end = async || {
            let mut live = false;
            for token in self.presented.iter() {
                let (owner, id) = (Arc::clone(shared), shared.storage_id(token));
                live |= commit::detached(async move { commit::end(&owner, &id, None).await }).await?;
            }
            Ok(Session::ended(Arc::clone(shared), live))
        };
        self.session.get_or_try_init(end).await?.destroy().await
    }

    /// Releases the session, if it was loaded, and says what the response must carry. For adapters: before the
    /// response head leaves.
    ///
    /// An error means that changes are not stored and the response must not answer success. A release that the handler
    /// itself has seen fail is not reported again.
    pub fn finish(&self, connection: Connection<'_>) -> Finish {
        Finish {
            session: self.session.get().cloned(),
            by_url: self.presented.source() == Some(Source::Query),
            context: self.manager.0.transport.context(connection),
            release: None,
        }
    }
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSession").field("session", &self.session.get()).finish_non_exhaustive()
    }
}

/// What a response owes to the session.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Reply {
    /// The headers that hand the token to the client or take it away: name and value. Each replaces any of the
    /// same name (`set-cookie`, in lower case: of the same cookie).
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The handler looked at the session: the response is `private` and varies by the token's header.
    pub loaded: bool,
    /// The response carries a token: it must not be stored by any cache.
    pub sets_token: bool,
}

impl Reply {
    fn carrying(headers: TokenHeaders<'_>) -> Self {
        let name = |name: &str| if name == SET_COOKIE { SET_COOKIE.into() } else { name.to_owned().into() };
        let headers = headers.map(|(header, value)| (name(header), value)).collect();
        Self { headers, loaded: true, sets_token: true }
    }
}

/// The end of a request, under way; see [`RequestSession::finish`]. A release that has begun is finished also when
/// this is dropped.
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
        if !matches!(session.phase(), Phase::Failed(_)) || release.is_some() {
            let release = release.get_or_insert_with(|| commit::release(&session.0, Create::Allowed));
            ready!(Pin::new(release).poll(context))?;
        }
        Poll::Ready(reply(session, *by_url, cookie))
    }
}

impl fmt::Debug for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What the response owes to a session that was released.
fn reply(session: &Session, by_url: bool, context: &CookieContext) -> Result<Reply> {
    let shared = &session.0.manager;
    match session.message() {
        Message::Nothing => Ok(Reply { loaded: true, ..Reply::default() }),
        Message::Forget => Ok(Reply::carrying(shared.transport.remove(context))),
        // An id from a URL, and what it is replaced with, never becomes a cookie: a link could log its victim in.
        Message::Hold(_) if by_url => Ok(Reply { loaded: true, sets_token: true, ..Reply::default() }),
        Message::Hold(token) => {
            let left = session.absolute_deadline().map(|deadline| deadline.since(shared.now()));
            Ok(Reply::carrying(shared.transport.set(&token, left, context)?))
        }
    }
}
