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
//! No. What a handler changed is stored after it has answered and before the head of its response leaves, and only
//! when something changed. When it cannot be stored, the response is not the handler's: 409 when the session ended
//! or others were faster, 503 when the engine is down, 413 or 500; empty, without a `Set-Cookie`, or as
//! [`SessionLayer::on_error`] says. Call [`release`](session_core::Session::release) yourself when the answer
//! depends on what was committed.
//!
//! # What a request costs
//!
//! | the handler | round trips |
//! |---|---|
//! | does not ask for a session | 0 |
//! | extracts [`Session`] and reads | 1 |
//! | … and changes it | 2 (1 when it begins) |
//! | extracts [`Flashes`](struct@Flashes) | 1, and 1 more when messages wait |
//! | extracts [`LazySession`] and logs out | 1 |
//!
//! # What the response says
//!
//! - At most one `Set-Cookie` for the session: one that the application wrote under the same name is replaced, all
//!   others are left alone.
//! - `Cache-Control: no-store` when the response carries a token, whatever the application says (unless it says
//!   `no-store` or `private` itself): a shared cache would give the session to the next visitor. `private` and
//!   `Vary: Cookie` when the handler only looked at the session; a `Cache-Control` of the application's own is then
//!   respected, and `public` is a `warn` event.
//! - With tokens from URLs ([`Transport::with_query`](session_core::transport::Transport::with_query)) every response of the layer says `no-store` and
//!   `Referrer-Policy: no-referrer`, whatever the application says.
//! - Bodies are passed on as they are: streams are not buffered. The session is stored before the first byte of one.
//!
//! # When things go wrong
//!
//! What a handler did counts only if it finished. A handler that panics, a client that hangs up before the handler has
//! answered, and a timeout inside of this layer leave the store as it was: after a response of 408 or 5xx nothing is
//! stored that the handler changed, as in Django and `tower-sessions`; every other answer is an answer, a 403 too.
//! [`SessionLayer::store_when`] changes that. What a handler stored by itself
//! ([`save`](session_core::Session::save), [`destroy`](session_core::Session::destroy)) stays. A release that has begun
//! is finished.
//!
//! # Without axum
//!
//! Turn the default feature `axum` off, and ask for the session with [`request_session`]:
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
