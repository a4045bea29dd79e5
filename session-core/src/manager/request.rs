//! The session of one request, not loaded before somebody asks for it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;

use super::{Manager, Shared};
use crate::commit;
use crate::live::Session;
use crate::live::state::{Message, Phase};
use crate::transport::{Candidates, Connection, Incoming, Source, TokenHeaders};
use crate::{Result, Token};

/// What an adapter keeps for the time of a request. Clones are handles to the same.
///
/// Making one costs an allocation and no look at the request; [`session`](Self::session) loads, once for all who ask.
#[derive(Clone)]
pub struct RequestSession(Arc<Inner>);

struct Inner {
    manager: Manager,
    presented: OnceLock<Candidates>,
    session: OnceCell<Session>,
}

impl RequestSession {
    pub(super) fn new(manager: Manager) -> Self {
        Self(Arc::new(Inner { manager, presented: OnceLock::new(), session: OnceCell::new() }))
    }

    /// Takes the tokens from what the client sent. The first call counts; without one there is no candidate.
    pub fn present(&self, incoming: Incoming<'_>) {
        self.0.presented.get_or_init(|| self.0.manager.candidates(incoming));
    }

    /// The manager that it belongs to.
    pub fn manager(&self) -> &Manager {
        &self.0.manager
    }

    /// The session, loaded by the first who asks. One round trip, none without a well-formed token.
    ///
    /// A client without a session, or with one that has ended, gets a new one that is stored when it is written to.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Unsupported`](crate::ErrorKind::Unsupported) are errors: a failing engine never
    /// looks like a logged-out user.
    pub async fn session(&self) -> Result<Session> {
        let load = async || {
            let shared = &self.0.manager.0;
            let found = shared.find(self.presented()).await?;
            Ok(Session::new(Arc::clone(shared), found.session, found.ambiguous))
        };
        self.0.session.get_or_try_init(load).await.cloned()
    }

    /// Ends the session that the client presents without reading it: a logout in one round trip (one for each
    /// token, when there are several). `Ok` also when there was none.
    pub async fn destroy(&self) -> Result<()> {
        // The cell is filled by whoever comes first: a load, which is then ended, or this.
        let shared = &self.0.manager.0;
        let end = async || {
            let mut live = false;
            for token in self.presented() {
                let (owner, id) = (Arc::clone(shared), shared.storage_id(token));
                live |= commit::detached(async move { commit::end(&owner, &id, None).await }).await?;
            }
            Ok(Session::ended(Arc::clone(shared), live))
        };
        self.0.session.get_or_try_init(end).await?.destroy().await
    }

    /// Releases the session, if it was loaded, and says what the response must carry. For adapters: before the
    /// response head leaves.
    ///
    /// An error means that changes are not stored and the response must not answer success. A release that the handler
    /// itself has seen fail is not reported again.
    pub async fn finish(&self, connection: Connection<'_>) -> Result<Reply> {
        let shared = &self.0.manager.0;
        let Some(session) = self.0.session.get() else { return Ok(Reply::default()) };
        if !matches!(session.phase(), Phase::Failed(_)) {
            session.release().await?;
        }
        match session.message() {
            Message::Nothing => Ok(Reply { loaded: true, ..Reply::default() }),
            Message::Forget => Ok(Reply::removing(shared, connection)),
            // An id from a URL, and what it is replaced with, never becomes a cookie: a link could log its victim in.
            Message::Hold(_) if self.came_by_url() => {
                Ok(Reply { loaded: true, sets_token: true, ..Reply::default() })
            }
            Message::Hold(token) => {
                let left = session.absolute_deadline().map(|deadline| deadline.since(shared.now()));
                let secure = shared.transport.secure(connection);
                let headers = shared.transport.set(&token, left, secure)?;
                Ok(Reply { headers: owned(headers), loaded: true, sets_token: true })
            }
        }
    }

    fn presented(&self) -> impl Iterator<Item = &Token> {
        self.0.presented.get().into_iter().flat_map(Candidates::iter)
    }

    fn came_by_url(&self) -> bool {
        self.0.presented.get().and_then(Candidates::source) == Some(Source::Query)
    }
}

impl fmt::Debug for RequestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSession").field("session", &self.0.session.get()).finish_non_exhaustive()
    }
}

/// What a response owes to the session.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Reply {
    /// The headers that hand the token to the client or take it away: name and value. Each replaces any of the
    /// same name (`set-cookie`: of the same cookie).
    pub headers: Vec<(String, String)>,
    /// The handler looked at the session: the response is `private` and varies by the token's header.
    pub loaded: bool,
    /// The response carries a token: it must not be stored by any cache.
    pub sets_token: bool,
}

impl Reply {
    fn removing(shared: &Shared, connection: Connection<'_>) -> Self {
        let headers = owned(shared.transport.remove(shared.transport.secure(connection)));
        Self { headers, loaded: true, sets_token: true }
    }
}

fn owned(headers: TokenHeaders<'_>) -> Vec<(String, String)> {
    headers.map(|(name, value)| (name.to_owned(), value)).collect()
}
