//! A single-page application on another origin, with credentials: CORS outside of the sessions, so that preflights ask for none.
//!
//! A page on another *site* needs `SameSite=None` and `Secure`; browsers that partition cookies need `Partitioned` as well.

use axum::Router;
use axum::http::{HeaderValue, Method, header::CONTENT_TYPE};
use axum::routing::post;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::{CookieSettings, SameSite, Transport};
use session_kit::{Manager, Result};
use tower_http::cors::CorsLayer;

/// The origin of the application.
pub const ORIGIN: &str = "https://app.example";

/// The service.
pub fn app() -> Result<Router> {
    let cookie = CookieSettings::default().same_site(SameSite::None).partitioned(true);
    let manager = Manager::builder(MemoryProvider::new()).transport(Transport::cookie(cookie)).build()?;
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE])
        .allow_credentials(true);
    Ok(Router::new().route("/visits", post(visit)).layer(SessionLayer::new(manager)).layer(cors))
}

async fn visit(session: Session) -> Result<String, SessionError> {
    Ok(session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?.to_string())
}
