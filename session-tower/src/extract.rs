//! How a handler gets at the session.

use std::fmt;
use std::ops::Deref;

use http::{HeaderMap, Request, Uri};
use session_core::{Error, Result};

use crate::slot::Slot;

/// The session of a request, loaded: an extractor for axum handlers.
///
/// It dereferences to [`session_core::Session`], whose methods (`get`, `set`, `update`, `delete`, `regenerate`, `destroy`, …) are what
/// a handler uses; a function that takes `&session_core::Session` takes `&session` too. All extractors of a request
/// share one load, and one release at the end. Clones are handles to the same session.
///
/// Extracting costs one round trip, none for a client without a well-formed token. It fails with a
/// [`SessionError`](crate::SessionError): 503 when the engine is down, so that nobody looks logged out because of that; 500 when the
/// [`SessionLayer`](crate::SessionLayer) is missing.
///
/// What a handler that panics did to the session is not stored, also when a layer inside of this one catches the panic.
#[derive(Clone)]
pub struct Session {
    session: session_core::Session,
    slot: Slot,
}

impl Session {
    /// The session of the core, for code that keeps it. It is no longer known to this request when a panic drops it.
    pub fn into_inner(self) -> session_core::Session {
        self.session.clone()
    }
}

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl From<Session> for session_core::Session {
    fn from(session: Session) -> Self {
        session.into_inner()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.slot.poison();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

/// The session of a request, not loaded yet: an extractor for handlers that may not need it, and for a logout.
///
/// Extracting it costs no I/O. It fails (500) only when the [`SessionLayer`](crate::SessionLayer) is missing.
///
/// ```
/// use session_tower::{LazySession, SessionError};
///
/// async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
///     session.destroy().await?;
///     Ok("bye")
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(logout));
/// ```
#[derive(Clone)]
pub struct LazySession {
    slot: Slot,
}

impl LazySession {
    fn of(slot: Option<&Slot>, headers: &HeaderMap, uri: &Uri) -> Result<Self> {
        let missing =
            "this request did not pass through a SessionLayer: add it to the router, after the routes";
        let slot = slot.ok_or_else(|| Error::config(missing))?.clone();
        slot.open(headers, uri);
        Ok(Self { slot })
    }

    /// The session, loaded by the first who asks. One round trip, none for a client without a well-formed token.
    pub async fn session(&self) -> Result<Session> {
        let session = self.slot.request().session().await?;
        Ok(Session { session, slot: self.slot.clone() })
    }

    /// Ends the session that the client presents without loading it: a logout in one round trip. `Ok` also when
    /// there was none. The response removes the cookie when there was one to end.
    pub async fn destroy(&self) -> Result<()> {
        self.slot.request().destroy().await
    }

    /// The manager, to reopen the session in a task that outlives the request.
    pub fn manager(&self) -> &session_core::Manager {
        self.slot.request().manager()
    }
}

impl fmt::Debug for LazySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazySession").field(self.slot.request()).finish()
    }
}

/// The session of a request in a plain tower service. No I/O.
///
/// [`Config`](session_core::ErrorKind::Config) when the request did not pass through a
/// [`SessionLayer`](crate::SessionLayer).
pub fn request_session<B>(request: &Request<B>) -> Result<LazySession> {
    LazySession::of(request.extensions().get(), request.headers(), request.uri())
}

#[cfg(feature = "axum")]
mod axum {
    use axum_core::extract::FromRequestParts;
    use http::request::Parts;

    use super::{LazySession, Session};
    use crate::SessionError;

    impl<S: Sync> FromRequestParts<S> for LazySession {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
            Ok(Self::of(parts.extensions.get(), &parts.headers, &parts.uri)?)
        }
    }

    impl<S: Sync> FromRequestParts<S> for Session {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
            Ok(LazySession::from_request_parts(parts, state).await?.session().await?)
        }
    }
}
