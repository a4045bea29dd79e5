//! An API for programs: the token travels in a header instead of a cookie.

use axum::Router;
use axum::routing::post;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::Transport;
use session_kit::{Manager, Result};

/// The header that carries the token, in both directions.
pub const HEADER: &str = "x-session-token";

/// The service.
pub fn app() -> Result<Router> {
    let manager = Manager::builder(MemoryProvider::new()).transport(Transport::header(HEADER)).build()?;
    Ok(Router::new().route("/calls", post(call)).layer(SessionLayer::new(manager)))
}

async fn call(session: Session) -> Result<String, SessionError> {
    Ok(session.update("calls", |calls: Option<u64>| calls.unwrap_or(0) + 1)?.to_string())
}
