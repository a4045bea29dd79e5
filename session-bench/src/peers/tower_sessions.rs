//! `tower-sessions`.

use axum::Router;
use axum::routing::get;
use tower_sessions::session_store::SessionStore;
use tower_sessions::{Session, SessionManagerLayer};

use crate::work::{COUNT, USER, User, Work};

/// The application over any of its stores.
pub fn app<S: SessionStore + Clone>(store: S) -> Router {
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Create.path(), get(create))
        .route(Work::Read.path(), get(read))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write))
        .layer(SessionManagerLayer::new(store))
}

async fn create(session: Session) -> &'static str {
    session.insert(USER, User::sample()).await.expect("stored");
    session.insert(COUNT, 0_u64).await.expect("stored");
    "ok"
}

async fn read(session: Session) -> &'static str {
    let user: User = session.get(USER).await.expect("read").expect("a user");
    let count: u64 = session.get(COUNT).await.expect("read").expect("a counter");
    if user.id > count { "ok" } else { "" }
}

async fn read_modify_write(session: Session) -> &'static str {
    let user: User = session.get(USER).await.expect("read").expect("a user");
    let count: u64 = session.get(COUNT).await.expect("read").expect("a counter");
    session.insert(COUNT, count + 1).await.expect("stored");
    if user.id > 0 { "ok" } else { "" }
}
