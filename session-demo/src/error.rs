//! What goes wrong, as JSON and as a page. Neither shows more than the kind of the failure.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use session_kit::Error;
use session_kit::tower::{SessionError, status};

/// Why a JSON route does not answer what was asked for.
pub enum ApiError {
    /// The session could not be loaded or stored; [`as_json`] writes the body.
    Session(SessionError),
    /// The request was wrong.
    Request(StatusCode, String),
}

impl ApiError {
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Request(StatusCode::BAD_REQUEST, message.into())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Session(error.into())
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Request(status, message) => (status, Json(json!({ "error": message }))).into_response(),
        }
    }
}

/// A session that could not be loaded or stored, for programs.
pub fn as_json(error: &Error) -> Response<Body> {
    (status(error), Json(json!({ "error": error.kind().to_string() }))).into_response()
}

/// A session that could not be loaded or stored, for people.
pub fn as_page(error: &Error) -> Response<Body> {
    crate::page::trouble(status(error), &error.kind().to_string())
}
