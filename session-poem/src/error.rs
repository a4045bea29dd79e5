//! A session's error as the error of a handler.

use std::fmt;
use std::sync::Arc;

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{IntoResponse, Response};
use session_core::{Error, ErrorKind};

/// A session's error as the error of a handler: `?` turns every [`session_core::Error`] into one.
///
/// The response has [`ErrorKind::http_status`] (409, 413, 503 or 500) and an empty body, which
/// reveals no internals; an [`on_error`](crate::SessionMiddleware::on_error) hook writes the body
/// of your choice. Your own error type that wraps one must return it as its
/// [source](std::error::Error::source), so that the middleware recognizes it.
#[derive(Debug, Clone)]
pub struct SessionError(Arc<Error>);

impl SessionError {
    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// Returns the first one among an error and its sources.
    pub(crate) fn in_chain(error: &poem::Error) -> Option<Self> {
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            next = cause.source();
        }
        None
    }

    /// Returns the core's error.
    pub fn as_inner(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Arc<Error>> for SessionError {
    fn from(error: Arc<Error>) -> Self {
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

impl ResponseError for SessionError {
    fn status(&self) -> StatusCode {
        status(&self.0)
    }

    /// Returns the status and an empty body; the middleware recognizes it by an extension.
    fn as_response(&self) -> Response {
        tracing::warn!(error = %self.0, "responding with a session error");
        let mut response = self.status().into_response();
        response.set_body(());
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// Returns the status for an error; 500 if it has none.
pub fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
