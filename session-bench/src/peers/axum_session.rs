//! `axum_session`.

use axum::Router;
use axum::routing::get;
use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

use crate::work::{COUNT, USER, User, Work};

type Null = Session<SessionNullPool>;

/// The application over its memory store.
pub async fn app() -> Router {
    let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default()).await.expect("a store");
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Create.path(), get(create))
        .route(Work::Read.path(), get(read))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write))
        .layer(SessionLayer::new(store))
}

async fn create(session: Null) -> &'static str {
    session.set(USER, User::sample());
    session.set(COUNT, 0_u64);
    "ok"
}

async fn read(session: Null) -> &'static str {
    let user: User = session.get(USER).expect("a user");
    let count: u64 = session.get(COUNT).expect("a counter");
    if user.id > count { "ok" } else { "" }
}

async fn read_modify_write(session: Null) -> &'static str {
    let user: User = session.get(USER).expect("a user");
    let count: u64 = session.get(COUNT).expect("a counter");
    session.set(COUNT, count + 1);
    if user.id > 0 { "ok" } else { "" }
}
