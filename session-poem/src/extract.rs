//! The extractors.

use poem::{FromRequest, Request, RequestBody};
use session_core::adapter::{Main, Slot, extractors};
use session_core::{Error, Result};

use crate::SessionError;
use crate::headers::Head;

extractors! {
    /// The session of a request, loaded: an extractor. It dereferences to
    /// [`session_core::Session`].
    ///
    /// Extracting costs one round trip, or none for a client without a well-formed token. It fails
    /// with a [`SessionError`]: 503 if the engine is down; 500 if the
    /// [`SessionMiddleware`](crate::SessionMiddleware) is missing. Changes of a panicking handler
    /// are not stored.
    ///
    /// For clients without a live session use [`OptionalSession`], not `Option<Session>`: poem's
    /// own extractor is `None` if the session could not be loaded, which would make a user look
    /// like a visitor. If a `Session` could not be extracted, the response is therefore that error,
    /// whatever the handler returns; to handle it yourself, call [`LazySession::session`].
    pub struct Session;

    /// The session of a request, not loaded yet: an extractor for handlers that may not need it,
    /// and for a logout. No I/O; it fails (500) only if the
    /// [`SessionMiddleware`](crate::SessionMiddleware) is missing.
    pub struct LazySession;
}

impl<'a, M: 'static> FromRequest<'a> for Session<M> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let LazySession(slot) = request_session_in(request)?;
        Ok(Self(slot.extract().await.map_err(SessionError::from)?))
    }
}

/// The session of a client that has one: an extractor, which is `None` for a client without a live
/// session. It costs the same as [`Session`], and fails like it.
#[derive(Debug)]
pub struct OptionalSession<M = Main>(pub Option<Session<M>>);

impl<'a, M: 'static> FromRequest<'a> for OptionalSession<M> {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let session = Session::from_request(request, body).await?;
        Ok(Self(Some(session).filter(|session| !session.is_new())))
    }
}

impl<'a, M: 'static> FromRequest<'a> for LazySession<M> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(request_session_in(request)?)
    }
}

/// Returns the session of a request in a middleware. No I/O.
///
/// [`Config`](session_core::ErrorKind::Config) if the request did not pass through a
/// [`SessionMiddleware`](crate::SessionMiddleware).
pub fn request_session(request: &Request) -> Result<LazySession, SessionError> {
    request_session_in(request)
}

/// Like [`request_session`], for the middleware with this
/// [`scope`](crate::SessionMiddleware::scope).
pub fn request_session_in<M: 'static>(request: &Request) -> Result<LazySession<M>, SessionError> {
    let missing = "this request did not pass through a SessionMiddleware: add it to the routes, \
                   `.with(SessionMiddleware::new(manager))`";
    let slot = request.extensions().get::<Slot<M>>().ok_or_else(|| Error::config(missing))?.clone();
    slot.open(&Head(request))?;
    Ok(LazySession(slot))
}
