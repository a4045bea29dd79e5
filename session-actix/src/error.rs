//! A session's error as the error of a handler.

use std::fmt;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use session_core::{Error, ErrorKind};

/// A session's error as the error of a handler: `?` turns every [`session_core::Error`] into one.
///
/// It answers with [`ErrorKind::http_status`] (409, 413, 503 or 500) and an empty body, so that nothing of the
/// inside gets out; an [`on_error`](crate::SessionMiddleware::on_error) hook writes the body of your choice. An
/// error type of your own answers with [`error_response`](ResponseError::error_response) of this one where it wraps it.
///
/// ```
/// use session_actix::{Session, SessionError};
///
/// async fn visit(session: Session) -> Result<String, SessionError> {
///     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
///     Ok(format!("visit {visits}"))
/// }
/// # let _ = actix_web::web::get().to(visit);
/// ```
#[derive(Debug, Clone)]
pub struct SessionError(Arc<Error>);

impl SessionError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    /// The error of the core.
    pub fn as_inner(&self) -> &Error {
        &self.0
    }
}

impl From<Arc<Error>> for SessionError {
    fn from(error: Arc<Error>) -> Self {
        Self(error)
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
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
    fn status_code(&self) -> StatusCode {
        status(&self.0)
    }

    /// The status and an empty body; the middleware recognizes it by an extension.
    fn error_response(&self) -> HttpResponse {
        tracing::warn!(error = %self.0, "responding with a session error");
        let mut response = HttpResponse::new(self.status_code());
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// The status for an error; 500 for what has none.
pub fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
