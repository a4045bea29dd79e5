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
//! No. What a handler changed is stored after it has answered and before the head of its response leaves, and only
//! when something changed. When it cannot be stored, the response is not the handler's: 409 when the session ended
//! or others were faster, 503 when the engine is down, 413 or 500; empty, without a `Set-Cookie`, or as
//! [`SessionMiddleware::on_error`] says. Call [`release`](session_core::Session::release) yourself when the answer
//! depends on what was committed.
//!
//! # What a request costs
//!
//! | the handler | round trips |
//! |---|---|
//! | does not ask for a session | 0 |
//! | extracts [`Session`] and reads | 1 |
//! | … and changes it | 2 (1 when it begins) |
//! | extracts [`Flashes`] | 1, and 1 more when messages wait |
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
//! - With tokens from URLs ([`Transport::with_query`](session_core::transport::Transport::with_query)) every response says `no-store` and
//!   `Referrer-Policy: no-referrer`, whatever the application says.
//! - Bodies are passed on as they are: streams are not buffered. The session is stored before the first byte of one.
//!
//! # When things go wrong
//!
//! What a handler did counts only if it finished. A handler that panics, a client that hangs up before the handler has
//! answered, and a timeout inside of this middleware leave the store as it was: after a response of 408 or 5xx nothing is
//! stored that the handler changed; every other answer is an answer, a 403 too. [`SessionMiddleware::store_when`] changes
//! that. A [`SessionError`], and an error that an inner middleware returns, store nothing. What a handler stored by
//! itself ([`save`](session_core::Session::save), [`destroy`](session_core::Session::destroy)) stays. A release that has
//! begun is finished, on the worker's own runtime.
//!
//! # Order
//!
//! actix-web runs the middleware that was wrapped last first. Middleware that uses the session is wrapped before this
//! one; middleware that must see the final response (compression, logging, CORS) after it.
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
mod place;
mod service;

pub use error::{SessionError, status};
pub use extract::{LazySession, OptionalSession, Session, request_session, request_session_in};
pub use flash::Flashes;
pub use middleware::SessionMiddleware;
pub use service::SessionService;
pub use session_core::adapter::Main;
