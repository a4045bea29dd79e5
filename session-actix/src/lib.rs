//! Sessions for actix-web.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use session_actix::{Session, SessionError, SessionMiddleware};
//! use session_core::Manager;
//!
//! async fn visit(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! async fn serve(manager: Manager) -> std::io::Result<()> {
//!     let sessions = SessionMiddleware::new(manager);
//!     let app = move || App::new().route("/", web::get().to(visit)).wrap(sessions.clone());
//!     HttpServer::new(app).bind("127.0.0.1:3000")?.run().await
//! }
//! ```
//!
//! # Do I need to save?
//!
//! No. A handler's changes, if there are any, are stored after it has returned and before the head
//! of its response is sent. If they cannot be stored, an error response replaces the handler's: 409
//! when the session has ended or the changes conflict, 503 when the engine is down, 413 or 500;
//! empty and without a `Set-Cookie`, or built by [`SessionMiddleware::on_error`]. Call
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
//! | extracts [`Flashes`] | 1, and 1 more if there are messages |
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
//!   ([`Transport::with_query`](session_core::transport::Transport::with_query)) every response has
//!   `no-store` and `Referrer-Policy: no-referrer`, whatever the application sets.
//! - Bodies are passed on unchanged, and streams are not buffered. The session is stored before
//!   their first byte.
//!
//! # When things go wrong
//!
//! Changes count only if the handler finished. If it panics, if the client hangs up before the
//! response, or if a timeout inside this middleware fires, nothing is stored. The same is true of
//! responses with 408 or 5xx; with every other response, including a 403, the changes are stored.
//! [`SessionMiddleware::store_when`] changes that. A [`SessionError`], and an error that an inner
//! middleware returns, store nothing. Explicit calls of a handler
//! ([`save`](session_core::Session::save), [`destroy`](session_core::Session::destroy)) remain in
//! effect. A release that has begun is finished, on the worker's own runtime.
//!
//! # Order
//!
//! actix-web runs the last wrapped middleware first. Wrap middleware that uses the session before
//! this one, and middleware that must see the final response (compression, logging, CORS) after it.
//!
//! ```
//! # use actix_web::{App, Error, body::MessageBody, dev::{ServiceRequest, ServiceResponse}, middleware::{Logger, Next, from_fn}};
//! # use session_actix::{Session, SessionMiddleware};
//! async fn sign_in_first(
//!     session: Session,
//!     request: ServiceRequest,
//!     next: Next<impl MessageBody>,
//! ) -> Result<ServiceResponse<impl MessageBody>, Error> {
//!     if session.owner().is_none() {
//!         return Err(actix_web::error::ErrorUnauthorized("sign in first"));
//!     }
//!     next.call(request).await
//! }
//!
//! # fn app(manager: session_core::Manager) {
//! let app = App::new()
//!     .wrap(from_fn(sign_in_first)) // inside: has the session
//!     .wrap(SessionMiddleware::new(manager))
//!     .wrap(Logger::default()); // outside
//! # drop(app);
//! # }
//! ```

mod error;
mod extract;
mod flash;
mod headers;
mod middleware;
#[cfg(feature = "actix-session")]
mod moving;
mod service;
mod slot;

pub use error::{SessionError, status};
pub use extract::{LazySession, OptionalSession, Session, request_session, request_session_in};
pub use flash::Flashes;
pub use middleware::SessionMiddleware;
#[cfg(feature = "actix-session")]
pub use moving::FromActixSession;
pub use service::SessionService;
pub use session_core::adapter::Main;
