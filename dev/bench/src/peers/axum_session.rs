//! `axum_session`.

use std::fmt::Debug;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use axum_session::{DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

use crate::work::{COUNT, Shape, USER, User, Work};

/// The application over its memory store.
pub async fn in_memory(shape: Shape) -> Router {
    app::<SessionNullPool>(None, SessionConfig::default(), shape).await
}

/// The application over a database. Its cache in memory is off: with it, what one process of a service
/// stores is not seen by the others.
#[expect(clippy::default_trait_access, reason = "the type is that of a crate that nothing else here needs")]
pub async fn on<P>(pool: P, shape: Shape) -> Router
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let config = SessionConfig::default().with_table_name("axum_session");
    app(Some(pool), config.with_memory_lifetime(Default::default()), shape).await
}

async fn app<P>(pool: Option<P>, config: SessionConfig, shape: Shape) -> Router
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let store = SessionStore::new(pool, config).await.expect("a store");
    Router::new()
        .route(Work::Untouched.path(), get(async || "ok"))
        .route(Work::Anonymous.path(), get(anonymous::<P>))
        .route(Work::Create.path(), get(create::<P>))
        .route(Work::Read.path(), get(read::<P>))
        .route(Work::ReadModifyWrite.path(), get(read_modify_write::<P>))
        .route(Work::Regenerate.path(), get(regenerate::<P>))
        .route(Work::Destroy.path(), get(destroy::<P>))
        .layer(SessionLayer::new(store))
        .with_state(shape)
}

async fn anonymous<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let user: Option<User> = session.get(USER);
    if user.is_none() { "ok" } else { "" }
}

async fn create<P>(shape: State<Shape>, session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    for key in shape.keys() {
        session.set(&key, shape.user());
    }
    session.set(COUNT, 0_u64);
    "ok"
}

async fn read<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let user: User = session.get(USER).expect("a user");
    let count: u64 = session.get(COUNT).expect("a counter");
    if user.id > count { "ok" } else { "" }
}

async fn read_modify_write<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let user: User = session.get(USER).expect("a user");
    let count: u64 = session.get(COUNT).expect("a counter");
    session.set(COUNT, count + 1);
    if user.id > 0 { "ok" } else { "" }
}

async fn regenerate<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let user: User = session.get(USER).expect("a user");
    session.renew();
    if user.id > 0 { "ok" } else { "" }
}

async fn destroy<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Sync + Send + 'static,
{
    let user: User = session.get(USER).expect("a user");
    session.destroy();
    if user.id > 0 { "ok" } else { "" }
}
