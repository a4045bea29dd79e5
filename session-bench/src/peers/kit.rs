//! This project.

use axum::Router;
use axum::routing::get;
use session_core::Manager;
use session_tower::{Session, SessionError, SessionLayer};

use crate::work::{COUNT, USER, User, Work};

/// The application over any engine.
pub fn app(manager: Manager) -> Router {
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Create.path(), get(create))
        .route(Work::Read.path(), get(read))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write))
        .layer(SessionLayer::new(manager))
}

async fn create(session: Session) -> Result<&'static str, SessionError> {
    session.set(USER, &User::sample())?;
    session.set(COUNT, &0_u64)?;
    Ok("ok")
}

async fn read(session: Session) -> Result<&'static str, SessionError> {
    let user: User = session.get(USER)?.expect("a user");
    let count: u64 = session.get(COUNT)?.expect("a counter");
    Ok(if user.id > count { "ok" } else { "" })
}

async fn read_modify_write(session: Session) -> Result<&'static str, SessionError> {
    let user: User = session.get(USER)?.expect("a user");
    session.update(COUNT, |count: Option<u64>| count.unwrap_or(0) + 1)?;
    Ok(if user.id > 0 { "ok" } else { "" })
}
