//! Several processes behind a proxy that ends TLS: they share the engine, and believe what the proxy says of the connection.
//!
//! Here both processes are routers over one memory engine; with a server's engine they are processes of any number.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::{CookieSettings, SecureMode, Transport, TrustedProxies};
use session_kit::{Manager, Provider, Result};

/// Where the proxy is.
const PROXIES: [&str; 2] = ["127.0.0.0/8", "10.0.0.0/8"];

/// One of the processes.
pub fn process(engine: Arc<dyn Provider>) -> Result<Router> {
    // `Secure` follows `X-Forwarded-Proto` and `Forwarded`, of these proxies only.
    let secure = SecureMode::Auto(TrustedProxies::parse(PROXIES)?);
    let transport = Transport::cookie(CookieSettings::named("session").secure(secure));
    let manager = Manager::builder_shared(engine).transport(transport).build()?;
    Ok(Router::new().route("/visits", post(visit)).layer(SessionLayer::new(manager)))
}

/// The service.
pub fn app() -> Result<Router> {
    process(Arc::new(MemoryProvider::new()))
}

async fn visit(session: Session) -> Result<String, SessionError> {
    Ok(session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?.to_string())
}
