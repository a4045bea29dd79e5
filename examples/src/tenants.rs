//! Several tenants in one service: the cookie belongs to the tenant's own domain, which the request's host decides.

use axum::Router;
use axum::routing::post;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::{CookieSettings, Domains, Transport};
use session_kit::{Manager, Result};

/// The domains of the tenants. A request to another host gets a cookie for that host alone.
const TENANTS: [&str; 2] = ["tea.example", "coffee.example"];

/// The service.
pub fn app() -> Result<Router> {
    // A cookie with a domain cannot have the prefix `__Host-`.
    let cookie = CookieSettings::secure_prefixed("session").domains(Domains::of(TENANTS));
    let manager = Manager::builder(MemoryProvider::new()).transport(Transport::cookie(cookie)).build()?;
    Ok(Router::new().route("/visits", post(visit)).layer(SessionLayer::new(manager)))
}

async fn visit(session: Session) -> Result<String, SessionError> {
    Ok(session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?.to_string())
}
