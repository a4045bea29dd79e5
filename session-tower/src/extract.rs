//! The extractors.

use http::Request;
use session_core::adapter::{Slot, extractors};
use session_core::{Error, Result};

use crate::head::Head;

extractors! {
    /// The session of a request, loaded: an extractor for axum handlers.
    ///
    /// It dereferences to [`session_core::Session`], whose methods (`get`, `set`, `update`,
    /// `delete`, `regenerate`, `destroy`, …) a handler calls; a function that takes
    /// `&session_core::Session` accepts `&session` too. All extractors of a request share one load,
    /// and one release at the end. Clones are handles to the same session.
    ///
    /// Extracting costs one round trip, none for a client without a well-formed token. It fails
    /// with a [`SessionError`](crate::SessionError): 503 when the engine is down, so that a user
    /// does not appear logged out; 500 when the [`SessionLayer`](crate::SessionLayer) is missing.
    ///
    /// Changes of a panicking handler are not stored, even if a layer inside this one catches the
    /// panic.
    ///
    /// `Option<Session>` is `None` for a client without a live session, and costs the same.
    /// `Session<Admins>` is the session of the layer with that
    /// [`scope`](crate::SessionLayer::scope).
    pub struct Session;

    /// The session of a request, not loaded yet: an extractor for handlers that may not need it,
    /// and for a logout.
    ///
    /// Extracting it costs no I/O. It fails (500) only when the
    /// [`SessionLayer`](crate::SessionLayer) is missing.
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
    pub struct LazySession;
}

impl<M: 'static> LazySession<M> {
    fn of(head: Head<'_>) -> Result<Self> {
        let missing =
            "this request did not pass through a SessionLayer: add it to the router, after the routes";
        let slot = head.extensions.get::<Slot<M>>().ok_or_else(|| Error::config(missing))?.clone();
        slot.open(&head)?;
        Ok(Self(slot))
    }
}

/// Returns the session of a request in a plain tower service. No I/O.
///
/// [`Config`](session_core::ErrorKind::Config) when the request did not pass through a
/// [`SessionLayer`](crate::SessionLayer).
pub fn request_session<B>(request: &Request<B>) -> Result<LazySession> {
    request_session_in(request)
}

/// Like [`request_session`], for the layer with this [`scope`](crate::SessionLayer::scope).
pub fn request_session_in<M: 'static, B>(request: &Request<B>) -> Result<LazySession<M>> {
    LazySession::of(Head { headers: request.headers(), uri: request.uri(), extensions: request.extensions() })
}

#[cfg(feature = "axum")]
mod axum {
    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use http::request::Parts;

    use super::{LazySession, Session};
    use crate::SessionError;
    use crate::head::Head;

    impl<S: Sync, M: 'static> FromRequestParts<S> for LazySession<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionError> {
            let Parts { headers, uri, extensions, .. } = parts;
            Ok(Self::of(Head { headers, uri, extensions })?)
        }
    }

    impl<S: Sync, M: 'static> FromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionError> {
            let lazy = <LazySession<M> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            Ok(lazy.session().await?)
        }
    }

    impl<S: Sync, M: 'static> OptionalFromRequestParts<S> for Session<M> {
        type Rejection = SessionError;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, SessionError> {
            let session = <Self as FromRequestParts<S>>::from_request_parts(parts, state).await?;
            Ok(Some(session).filter(|session| !session.is_new()))
        }
    }
}
