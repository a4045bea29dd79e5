//! `tower-sessions`.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tower_sessions::session_store::SessionStore;
use tower_sessions::{Session, SessionManagerLayer};

use crate::work::{COUNT, Shape, USER, User, Work};

/// The application over any of its stores.
pub fn app<S: SessionStore + Clone>(store: S, shape: Shape) -> Router {
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Anonymous.path(), get(anonymous))
        .route(Work::Create.path(), get(create))
        .route(Work::Read.path(), get(read))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write))
        .route(Work::Regenerate.path(), get(regenerate))
        .route(Work::Destroy.path(), get(destroy))
        .layer(SessionManagerLayer::new(store))
        .with_state(shape)
}

async fn anonymous(session: Session) -> &'static str {
    let user: Option<User> = session.get(USER).await.expect("read");
    if user.is_none() { "ok" } else { "" }
}

async fn create(shape: State<Shape>, session: Session) -> &'static str {
    for key in shape.keys() {
        session.insert(&key, shape.user()).await.expect("stored");
    }
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

async fn regenerate(session: Session) -> &'static str {
    let user: User = session.get(USER).await.expect("read").expect("a user");
    session.cycle_id().await.expect("a new id");
    if user.id > 0 { "ok" } else { "" }
}

async fn destroy(session: Session) -> &'static str {
    let user: User = session.get(USER).await.expect("read").expect("a user");
    session.flush().await.expect("ended");
    if user.id > 0 { "ok" } else { "" }
}
