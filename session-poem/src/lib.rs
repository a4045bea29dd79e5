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
//! What a handler changed is stored after it has answered and before the head of its response leaves; when it cannot be
//! stored, the response is not the handler's. A request that does not ask for its session costs nothing, one that reads it one
//! round trip, one that changes it two. Bodies are passed on as they are. What a response says of the session, and what is
//! stored when something goes wrong, is the same as with the adapters for axum and actix-web: one list of tests drives all.
//!
//! In poem a handler's error passes through middleware as an error. Where the request used its session, this middleware
//! turns it into its response, with what that owes to the session; an error of a request that did not is passed on as
//! it is, so that `catch_error` outside finds it.
//!
//! Endpoints are wrapped from the inside out: add what uses the session before this middleware (`.with(…)` nearer to the
//! routes), and compression, CORS and traces after it.

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
