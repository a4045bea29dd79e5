//! The extractors.

use std::future::{Future, Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use session_core::adapter::{Main, extractors};

use crate::SessionError;
use crate::slot::RequestSlot;

extractors! {
    /// The session of a request, loaded: an extractor.
    ///
    /// It dereferences to [`session_core::Session`], whose methods (`get`, `set`, `update`,
    /// `delete`, `regenerate`, `destroy`, …) a handler calls; a function that takes
    /// `&session_core::Session` accepts `&session` too. All extractors of a request share one load,
    /// and one release at the end. Clones are handles to the same session.
    ///
    /// Extracting costs one round trip, none for a client without a well-formed token. It fails
    /// with a [`SessionError`]: 503 when the engine is down, so that a user does not appear logged
    /// out; 500 when the [`SessionMiddleware`](crate::SessionMiddleware) is missing.
    ///
    /// Changes of a panicking handler are not stored, even if a middleware inside this one catches
    /// the panic.
    ///
    /// `Session<Admins>` is the session of the middleware with that
    /// [`scope`](crate::SessionMiddleware::scope).
    ///
    /// # Optional sessions
    ///
    /// [`OptionalSession`] is `None` for a client without a live session. `Option<Session>` is not:
    /// that is actix-web's own extractor, which is `None` when the session could not be loaded, so
    /// that a user would look like a visitor. If a `Session` could not be extracted, the response
    /// is therefore always that error, even if an `Option` or a `Result` hid it from the handler.
    /// To handle it yourself, call [`LazySession::session`].
    pub struct Session;

    /// The session of a request, not loaded yet: an extractor for handlers that may not need it,
    /// and for a logout.
    ///
    /// Extracting it costs no I/O. It fails (500) only when the
    /// [`SessionMiddleware`](crate::SessionMiddleware) is missing.
    ///
    /// ```
    /// use session_actix::{LazySession, SessionError};
    ///
    /// async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    ///     session.destroy().await?;
    ///     Ok("bye")
    /// }
    /// # let _ = actix_web::web::post().to(logout);
    /// ```
    pub struct LazySession;
}

impl<M: 'static> FromRequest for Session<M> {
    type Error = SessionError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let slot = RequestSlot::<M>::open(request);
        Box::pin(async move { Ok(Self(slot?.extract().await?)) })
    }
}

/// The session of a client that has one: an extractor, which is `None` for a client without a live
/// session. It costs the same as [`Session`], and fails like it.
///
/// ```
/// use session_actix::{OptionalSession, SessionError};
///
/// async fn greet(OptionalSession(session): OptionalSession) -> Result<String, SessionError> {
///     let user = session.map(|session| session.get::<String>("user")).transpose()?.flatten();
///     Ok(format!("hello, {}", user.as_deref().unwrap_or("visitor")))
/// }
/// # let _ = actix_web::web::get().to(greet);
/// ```
#[derive(Debug)]
pub struct OptionalSession<M = Main>(pub Option<Session<M>>);

impl<M: 'static> FromRequest for OptionalSession<M> {
    type Error = SessionError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SessionError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::from_request(request, payload);
        Box::pin(async { Ok(Self(Some(session.await?).filter(|session| !session.is_new()))) })
    }
}

impl<M: 'static> FromRequest for LazySession<M> {
    type Error = SessionError;
    type Future = Ready<Result<Self, SessionError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request_session_in(request))
    }
}

/// Returns the session of a request in a middleware, which has a
/// [`ServiceRequest`](actix_web::dev::ServiceRequest) and its
/// [`request`](actix_web::dev::ServiceRequest::request). No I/O.
///
/// [`Config`](session_core::ErrorKind::Config) when the request did not pass through a
/// [`SessionMiddleware`](crate::SessionMiddleware).
pub fn request_session(request: &HttpRequest) -> Result<LazySession, SessionError> {
    request_session_in(request)
}

/// Like [`request_session`], for the middleware with this
/// [`scope`](crate::SessionMiddleware::scope).
pub fn request_session_in<M: 'static>(request: &HttpRequest) -> Result<LazySession<M>, SessionError> {
    RequestSlot::open(request).map(LazySession)
}
