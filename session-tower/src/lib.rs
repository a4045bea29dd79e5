//! Sessions for axum, and for every other `tower` service over `http` types.
//!
//! ```
//! use axum::{Router, routing::get};
//! use session_core::Manager;
//! use session_tower::{Session, SessionError, SessionLayer};
//!
//! async fn visit(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! fn app(manager: Manager) -> Router {
//!     Router::new().route("/", get(visit)).layer(SessionLayer::new(manager))
//! }
//! ```
//!
//! # Do I need to save?
//!
//! No. A handler's changes, if there are any, are stored after it has returned and before the head
//! of its response is sent. If they cannot be stored, an error response replaces the handler's: 409
//! when the session has ended or the changes conflict, 503 when the engine is down, 413 or 500;
//! empty and without a `Set-Cookie`, or built by [`SessionLayer::on_error`]. Call
//! [`release`](session_core::Session::release) yourself when the response depends on the committed
//! values.
//!
//! # What a request costs
//!
//! | the handler | round trips |
//! |---|---|
//! | does not use its session | 0 |
//! | extracts [`Session`] and reads | 1 |
//! | … and changes it | 2 (1 when it is new) |
//! | extracts [`Flashes`](struct@Flashes) | 1, and 1 more if there are messages |
//! | extracts [`LazySession`] and logs out | 1 |
//!
//! # Response headers
//!
//! - At most one `Set-Cookie` for the session: one that the application set with the same name is
//!   replaced, all others are kept.
//! - `Cache-Control: no-store` when the response carries a token, whatever the application sets
//!   (unless that is `no-store` or `private`): a shared cache would give the session to the next
//!   visitor. `private` and `Vary: Cookie` when the handler only read the session; the
//!   application's own `Cache-Control` is then kept, and `public` logs a `warn` event.
//! - With tokens from URLs
//!   ([`Transport::with_query`](session_core::transport::Transport::with_query)) every response of
//!   the layer has `no-store` and `Referrer-Policy: no-referrer`, whatever the application sets.
//! - Bodies are passed on unchanged, and streams are not buffered. The session is stored before
//!   their first byte.
//!
//! # When things go wrong
//!
//! Changes count only if the handler finished. If it panics, if the client hangs up before the
//! response, or if a timeout inside this layer fires, nothing is stored. The same is true of
//! responses with 408 or 5xx, as in Django and `tower-sessions`; with every other response,
//! including a 403, the changes are stored. [`SessionLayer::store_when`] changes that. Explicit
//! calls of a handler ([`save`](session_core::Session::save),
//! [`destroy`](session_core::Session::destroy)) remain in effect. A release that has begun is
//! finished.
//!
//! # Without axum
//!
//! Turn the default feature `axum` off, and get the session with [`request_session`]:
//!
//! ```
//! use http::{Request, Response};
//! use session_core::Result;
//!
//! async fn hello<B>(request: Request<B>) -> Result<Response<String>> {
//!     let session = session_tower::request_session(&request)?.session().await?;
//!     Ok(Response::new(format!("{} keys", session.keys().len())))
//! }
//! # drop(hello(Request::new(())));
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod connection;
mod error;
mod extract;
#[cfg(feature = "axum")]
mod flash;
mod future;
mod head;
mod headers;
mod layer;
mod service;

#[cfg(feature = "axum")]
pub use answer::HookWithRequest;
pub use answer::{DefaultBody, EmptyAnswer, Hook, OnError, RequestHead};
pub use connection::ConnectionInfo;
pub use error::{SessionError, status};
pub use extract::{LazySession, Session, request_session, request_session_in};
#[cfg(feature = "axum")]
pub use flash::Flashes;
pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
pub use session_core::adapter::Main;
