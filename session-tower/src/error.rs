//! A session's error as the error of a handler.

use std::fmt;
use std::sync::Arc;

use http::{Response, StatusCode};
use session_core::{Error, ErrorKind};

/// A session's error as the error of a handler: `?` turns every [`session_core::Error`] into one.
///
/// The response has [`ErrorKind::http_status`] (409, 413, 503 or 500) and an empty body, which
/// reveals no internals; an [`on_error`](crate::SessionLayer::on_error) hook writes the body of
/// your choice.
///
/// ```
/// use session_tower::{Session, SessionError};
///
/// async fn visit(session: Session) -> Result<String, SessionError> {
///     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
///     Ok(format!("visit {visits}"))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(visit));
/// ```
#[derive(Debug)]
pub struct SessionError(Error);

impl SessionError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// Returns the core's error.
    pub fn into_inner(self) -> Error {
        self.0
    }

    /// Builds the response, with an empty body: `into_response` for services without axum.
    pub fn into_answer<B: Default>(self) -> Response<B> {
        tracing::warn!(error = %self.0, "responding with a session error");
        let mut response = Response::new(B::default());
        *response.status_mut() = status(&self.0);
        response.extensions_mut().insert(Failed(Arc::new(self.0)));
        response
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for SessionError {
    fn into_response(self) -> axum_core::response::Response {
        self.into_answer()
    }
}

/// Marks a response that was built from a [`SessionError`], in its extensions, for the layer's
/// hook.
#[derive(Clone)]
pub(crate) struct Failed(pub Arc<Error>);

/// Returns the status for an error; 500 if it has none.
pub fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
