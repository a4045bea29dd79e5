//! Sessions for poem.
//!
//! ```
//! use poem::{EndpointExt, Route, get, handler};
//! use session_core::Manager;
//! use session_poem::{LazySession, Session, SessionError, SessionMiddleware};
//!
//! #[handler]
//! async fn visit(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! #[handler]
//! async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
//!     session.destroy().await?;
//!     Ok("bye")
//! }
//!
//! fn app(manager: Manager) -> impl poem::Endpoint {
//!     Route::new().at("/", get(visit)).at("/logout", get(logout)).with(SessionMiddleware::new(manager))
//! }
//! ```
//!
//! A handler's changes are stored after it has returned and before the head of its response is
//! sent; if they cannot be stored, the response is an error. A request that does not use its
//! session costs nothing, one that reads it one round trip, one that changes it two. Bodies are
//! passed on unchanged. Response headers, and the rules for storing after failures, are the same as
//! in the adapters for axum and actix-web: one list of tests covers all.
//!
//! In poem a handler's error passes through middleware as an error. If the request used its
//! session, this middleware converts the error into its response and adds the session's headers;
//! otherwise the error is passed on unchanged, so that an outer `catch_error` finds it.
//!
//! Endpoints are wrapped from the inside out: add middleware that uses the session before this one
//! (`.with(…)` nearer to the routes), and compression, CORS and tracing after it.

mod error;
mod extract;
mod flash;
mod headers;
mod middleware;

pub use error::{SessionError, status};
pub use extract::{LazySession, OptionalSession, Session, request_session, request_session_in};
pub use flash::Flashes;
pub use middleware::{RequestHead, SessionEndpoint, SessionMiddleware};
pub use session_core::adapter::Main;
