//! Taking over the sessions of the stores of `tower-sessions`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use session_core::Manager;
use session_core::record::Version;
use session_memory::MemoryProvider;
use session_servers::compose;
use session_tower_sessions::{EngineStore, Moving};
use time::{Duration, OffsetDateTime};
use tokio::sync::Barrier;
use tower_sessions::session::{Id, Record};
use tower_sessions::{MemoryStore, SessionStore, session_store};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::sqlx::{MySqlPool, PgPool, SqlitePool};
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore, SqliteStore};

fn engine() -> EngineStore {
    EngineStore::new(Manager::builder(MemoryProvider::new()).build().unwrap()).unwrap()
}

fn record() -> Record {
    let expiry_date = (OffsetDateTime::now_utc() + Duration::hours(1)).replace_nanosecond(0).unwrap();
    let data = [("user".to_owned(), json!({ "name": "ada", "rights": [1, 2] }))].into();
    Record { id: Id::default(), data, expiry_date }
}

/// A session of the old store is found by its id, and afterwards only in the new store.
async fn moves<Old: SessionStore + Clone>(old: Old) {
    let mut before = record();
    old.create(&mut before).await.unwrap();
    let new = engine().merging(false);
    let moving = Moving::new(new.clone(), old.clone());
    assert_eq!(moving.load(&before.id).await.unwrap().as_ref(), Some(&before));
    assert_eq!(old.load(&before.id).await.unwrap(), None, "it is in one store only");
    assert_eq!(new.load(&before.id).await.unwrap().as_ref(), Some(&before));
    let mut changed = moving.load(&before.id).await.unwrap().unwrap();
    changed.data.insert("n".into(), json!(1));
    moving.save(&changed).await.unwrap();
    assert_eq!(moving.load(&before.id).await.unwrap(), Some(changed));
    moving.delete(&before.id).await.unwrap();
    assert_eq!(moving.load(&before.id).await.unwrap(), None);

    let mut never_loaded = record();
    old.create(&mut never_loaded).await.unwrap();
    moving.delete(&never_loaded.id).await.unwrap();
    assert_eq!(moving.load(&never_loaded.id).await.unwrap(), None, "a logout ends it in both");
    assert_eq!(moving.load(&Id::default()).await.unwrap(), None);
}

#[tokio::test]
async fn from_memory() {
    moves(MemoryStore::default()).await;
}

#[tokio::test]
async fn from_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", directory.path().join("old.db").display());
    let old = SqliteStore::new(SqlitePool::connect(&url).await.unwrap());
    old.migrate().await.unwrap();
    moves(old).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn from_postgres() {
    let pool = PgPool::connect(&compose::POSTGRES.address()).await.unwrap();
    let old = PostgresStore::new(pool).with_schema_name("moving_tower_sessions").unwrap();
    old.migrate().await.unwrap();
    moves(old).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn from_mysql() {
    let pool = MySqlPool::connect(&compose::MYSQL.address()).await.unwrap();
    let table = format!("moving_{:x}", Version::random().0);
    let old = MySqlStore::new(pool).with_schema_name("session").unwrap().with_table_name(table).unwrap();
    old.migrate().await.unwrap();
    moves(old).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn from_redis() {
    let config = Config::from_url(&compose::REDIS.address()).unwrap();
    let pool = Pool::new(config, None, None, None, 1).unwrap();
    let connection = pool.connect();
    pool.wait_for_connect().await.unwrap();
    moves(RedisStore::new(pool.clone())).await;
    pool.quit().await.unwrap();
    connection.await.unwrap().unwrap();
}

/// An old store whose loads, after reading, wait until the test lets them continue.
#[derive(Debug, Clone)]
struct Waiting(MemoryStore, Arc<Barrier>);

#[async_trait]
impl SessionStore for Waiting {
    async fn save(&self, record: &Record) -> session_store::Result<()> {
        self.0.save(record).await
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let loaded = self.0.load(id).await;
        self.1.wait().await;
        self.1.wait().await;
        loaded
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.0.delete(id).await
    }
}

#[tokio::test]
async fn a_logout_while_a_session_moves_is_final() {
    let (old, barrier) = (MemoryStore::default(), Arc::new(Barrier::new(2)));
    let mut before = record();
    old.create(&mut before).await.unwrap();
    let moving = Moving::new(engine(), Waiting(old, Arc::clone(&barrier)));
    let id = before.id;
    let loading = tokio::spawn({
        let moving = moving.clone();
        async move { moving.load(&id).await.unwrap() }
    });
    // The move has read the old store and not yet written to the new one.
    barrier.wait().await;
    moving.delete(&id).await.unwrap();
    barrier.wait().await;
    // It reads again.
    barrier.wait().await;
    barrier.wait().await;
    assert_eq!(loading.await.unwrap(), None);
    let loading = tokio::spawn(async move { moving.load(&id).await.unwrap() });
    barrier.wait().await;
    barrier.wait().await;
    assert_eq!(loading.await.unwrap(), None, "nothing is left");
}

#[tokio::test]
async fn concurrent_requests_that_move_a_session_all_find_it() {
    let old = MemoryStore::default();
    for _ in 0..50 {
        let mut before = record();
        old.create(&mut before).await.unwrap();
        let moving = Moving::new(engine(), old.clone());
        let mut requests = tokio::task::JoinSet::new();
        for number in 0..4 {
            let (moving, id) = (moving.clone(), before.id);
            requests.spawn(async move {
                let mut record = moving.load(&id).await.unwrap().expect("nobody is logged out");
                record.data.insert(format!("request {number}"), json!(number));
                moving.save(&record).await.unwrap();
            });
        }
        requests.join_all().await;
        let moved = moving.load(&before.id).await.unwrap().unwrap();
        let keys = moved.data.keys().filter(|key| !key.starts_with('~')).count();
        assert_eq!(keys, 5);
    }
}
