//! The behaviours of adapters, by subject.
#![allow(missing_docs, reason = "the names are sentences")]

pub mod caching;
pub mod connections;
pub mod endings;
pub mod failures;
pub mod flashes;
pub mod hostile;
pub mod lifecycle;
pub mod scopes;
pub mod transports;

use session_core::{Result, Session};

use super::{Application, Lazy, Shelf};

/// The name of the session's cookie in these tests.
const NAME: &str = "__Host-session";

async fn count(session: Session) -> Result<String> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Result<String> {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

async fn login(session: Session) -> Result<&'static str> {
    session.regenerate()?;
    session.set("user", "ada")?;
    Ok("hello ada")
}

async fn whoami(session: Session) -> Result<String> {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "nobody".into()))
}

async fn logout(lazy: std::sync::Arc<dyn Lazy>) -> Result<&'static str> {
    lazy.destroy().await?;
    Ok("bye")
}

/// An application with the usual routes.
fn usual(shelf: &Shelf) -> Application {
    with_routes(Application::new(shelf.manager()))
}

fn with_routes(application: Application) -> Application {
    application
        .get("/count", count)
        .get("/read", read)
        .get("/login", login)
        .get("/whoami", whoami)
        .lazy("/logout", logout)
        .plain("/untouched", || "ok")
}
