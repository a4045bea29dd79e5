//! A sign-in on actix-web.

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use session_kit::actix::{LazySession, Session, SessionError, SessionMiddleware};
use session_kit::key::Key;
use session_kit::memory::MemoryProvider;
use session_kit::{Manager, Result};

const USER: Key<String> = Key::new("user");

/// The middleware of the service.
pub fn middleware() -> Result<SessionMiddleware> {
    Ok(SessionMiddleware::new(Manager::builder(MemoryProvider::new()).build()?))
}

/// The routes of the service.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/", web::get().to(home))
        .route("/login/{user}", web::post().to(login))
        .route("/logout", web::post().to(logout));
}

/// Serves it, until Ctrl-C.
pub async fn serve(address: &str) -> std::io::Result<()> {
    let middleware = middleware().map_err(std::io::Error::other)?;
    let app = move || App::new().configure(routes).wrap(middleware.clone());
    HttpServer::new(app).bind(address)?.run().await
}

async fn home(session: Session) -> Result<String, SessionError> {
    let user = session.get(USER)?;
    Ok(user.map_or_else(|| "hello, visitor".to_owned(), |user| format!("hello, {user}")))
}

async fn login(session: Session, user: web::Path<String>) -> Result<&'static str, SessionError> {
    session.sign_in(&user)?;
    session.set(USER, &*user)?;
    Ok("welcome")
}

async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("good bye")
}
