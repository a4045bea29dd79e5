//! Users and administrators in one service: two managers, each with a cookie of its own, and extractors that say whose session
//! they want.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::{CookieSettings, Transport};
use session_kit::{Manager, Result};

/// The scope of the administrators' sessions.
pub enum Admins {}

/// The service.
pub fn app() -> Result<Router> {
    let users = Manager::builder(MemoryProvider::new()).build()?;
    let cookie = CookieSettings::host_prefixed("admin");
    let admins = Manager::builder(MemoryProvider::new())
        .transport(Transport::cookie(cookie))
        .idle_timeout(Duration::from_mins(10))
        .build()?;
    Ok(Router::new()
        .route("/", get(who))
        .route("/login", post(login))
        .route("/admin/login", post(admin_login))
        .layer(SessionLayer::new(users))
        .layer(SessionLayer::new(admins).scope::<Admins>()))
}

async fn who(user: Session, admin: Session<Admins>) -> String {
    format!("user: {}, admin: {}", user.owner().is_some(), admin.owner().is_some())
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.sign_in("ada")?;
    Ok("welcome")
}

async fn admin_login(session: Session<Admins>) -> Result<&'static str, SessionError> {
    session.sign_in("root")?;
    Ok("welcome, administrator")
}
