//! The contract of `tower-sessions` for stores, and the additional guarantees of this one, over
//! three engines.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use session_conformance::layers::{Fault, Faulty, Method, Spy};
use session_core::record::Version;
use session_core::{ConnectOptions, ErrorKind, Manager, Provider};
use session_memory::MemoryProvider;
use session_redis::RedisConfig;
use session_servers::compose;
use session_sqlite::{SqliteConfig, SqliteProvider};
use session_tower_sessions::EngineStore;
use time::{Duration, OffsetDateTime};
use tower_sessions::session::{Id, Record};
use tower_sessions::{ExpiredDeletion, Expiry, Session, SessionStore};

fn store(provider: Arc<dyn Provider>) -> EngineStore {
    let builder = Manager::builder_shared(provider).operation_timeout(std::time::Duration::from_secs(30));
    EngineStore::new(builder.build().unwrap()).unwrap()
}

/// A record with a lifetime of half an hour, in whole milliseconds.
fn record(entries: &[(&str, u64)]) -> Record {
    let expiry_date =
        (OffsetDateTime::now_utc() + Duration::minutes(30)).replace_nanosecond(5_000_000).unwrap();
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    Record { id: Id::default(), data, expiry_date }
}

async fn stored(store: &EngineStore, entries: &[(&str, u64)]) -> Record {
    let mut record = record(entries);
    store.create(&mut record).await.unwrap();
    record
}

async fn values(store: &EngineStore, id: Id) -> Option<HashMap<String, serde_json::Value>> {
    let loaded = store.load(&id).await.unwrap()?;
    Some(loaded.data.into_iter().filter(|(key, _)| !key.starts_with('~')).collect())
}

fn numbers(entries: &[(&str, u64)]) -> HashMap<String, serde_json::Value> {
    record(entries).data
}

/// The tests of `tower-sessions`' own store, which compare whole records.
async fn contract(provider: Arc<dyn Provider>) {
    let store = store(provider).merging(false);
    let mut first = record(&[]);
    first.data.insert("text".into(), json!({ "nested": [1, -2, 3.5, null, true, "ü"], "large": u64::MAX }));
    store.create(&mut first).await.unwrap();
    assert_eq!(store.load(&first.id).await.unwrap().as_ref(), Some(&first));
    first.data.insert("more".into(), json!(1));
    first.expiry_date += Duration::minutes(5);
    store.save(&first).await.unwrap();
    assert_eq!(store.load(&first.id).await.unwrap().as_ref(), Some(&first));

    let mut second = record(&[("second", 2)]);
    second.id = first.id;
    store.create(&mut second).await.unwrap();
    assert_ne!(second.id, first.id, "an id that is taken is replaced");
    assert_eq!(store.load(&first.id).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.load(&second.id).await.unwrap().as_ref(), Some(&second));

    store.delete(&first.id).await.unwrap();
    assert_eq!(store.load(&first.id).await.unwrap(), None);
    store.delete(&first.id).await.unwrap();
    assert_eq!(store.load(&Id::default()).await.unwrap(), None);
    assert_eq!(store.load(&second.id).await.unwrap(), Some(second), "others are left alone");
}

/// A session ends at its expiry date, even if a read has extended the deadline in the storage.
async fn dates(provider: Arc<dyn Provider>) {
    let store = store(provider);
    let mut over = record(&[("n", 1)]);
    over.expiry_date = OffsetDateTime::now_utc() - Duration::seconds(1);
    store.create(&mut over).await.unwrap();
    assert_eq!(store.load(&over.id).await.unwrap(), None);

    let mut short = record(&[("n", 1)]);
    short.expiry_date = OffsetDateTime::now_utc() + Duration::milliseconds(1_500);
    store.create(&mut short).await.unwrap();
    store.load(&short.id).await.unwrap();
    let mut ended = stored(&store, &[("n", 1)]).await;
    ended.expiry_date = OffsetDateTime::now_utc() - Duration::seconds(1);
    store.save(&ended).await.unwrap();
    assert_eq!(store.load(&ended.id).await.unwrap(), None, "saved with a date that is over");
    let mut long = record(&[("n", 1)]);
    long.expiry_date += Duration::days(300);
    store.create(&mut long).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_600)).await;
    assert_eq!(store.load(&short.id).await.unwrap(), None);
    assert!(store.save(&short).await.is_err(), "it is not brought back");
    assert_eq!(store.load(&long.id).await.unwrap().unwrap().expiry_date, long.expiry_date);
    store.delete_expired().await.unwrap();
    assert_eq!(values(&store, long.id).await, Some(numbers(&[("n", 1)])));
}

/// Concurrent requests that change different keys keep both changes.
async fn merging(provider: Arc<dyn Provider>) {
    let store = store(provider);
    let id = stored(&store, &[("a", 1), ("b", 1), ("c", 1)]).await.id;
    let mut requests = tokio::task::JoinSet::new();
    let mut loaded = Vec::new();
    for _ in 0..8 {
        loaded.push(store.load(&id).await.unwrap().unwrap());
    }
    for (number, mut record) in loaded.into_iter().enumerate() {
        let store = store.clone();
        requests.spawn(async move {
            record.data.insert(format!("request {number}"), json!(number));
            if number == 0 {
                record.data.remove("b");
            }
            store.save(&record).await.unwrap();
        });
    }
    requests.join_all().await;
    let mut expected = numbers(&[("a", 1), ("c", 1)]);
    expected.extend((0..8).map(|number| (format!("request {number}"), json!(number))));
    assert_eq!(values(&store, id).await, Some(expected.clone()));

    let whole = store.clone().merging(false);
    let (mut first, second) = (record(&[("x", 1)]), record(&[("y", 2)]));
    (first.id, first.data) = (id, numbers(&[("x", 1)]));
    whole.save(&first).await.unwrap();
    assert_eq!(values(&store, id).await, Some(numbers(&[("x", 1)])), "without merging the last one wins");
    assert!(whole.save(&second).await.is_err(), "a save creates nothing");
    assert_eq!(values(&store, second.id).await, None);
}

/// A request that was pending at the logout changes nothing, and gets an error.
async fn logout(provider: Arc<dyn Provider>) {
    let store = store(provider);
    for merging in [true, false] {
        let store = store.clone().merging(merging);
        let id = stored(&store, &[("user", 1)]).await.id;
        let mut late = store.load(&id).await.unwrap().unwrap();
        store.delete(&id).await.unwrap();
        if merging {
            store.save(&late).await.unwrap();
            assert_eq!(values(&store, id).await, None, "nothing changed, nothing is stored");
        }
        late.data.insert("late".into(), json!(1));
        assert!(store.save(&late).await.is_err());
        assert_eq!(values(&store, id).await, None);
    }
}

/// Through `tower-sessions` itself.
async fn sessions(provider: Arc<dyn Provider>) {
    let store = Arc::new(store(provider));
    let expiry = Some(Expiry::OnInactivity(Duration::hours(1)));
    let open = |id| Session::new(id, Arc::clone(&store), expiry);
    let session = open(None);
    session.insert("n", 1).await.unwrap();
    session.save().await.unwrap();
    let first = session.id().unwrap();

    let (slow, quick) = (open(Some(first)), open(Some(first)));
    assert_eq!(slow.get::<u64>("n").await.unwrap(), Some(1));
    quick.insert("quick", 2).await.unwrap();
    quick.save().await.unwrap();
    slow.insert("slow", 3).await.unwrap();
    slow.save().await.unwrap();
    let all = open(Some(first));
    assert_eq!(all.get::<u64>("quick").await.unwrap(), Some(2));
    assert_eq!(all.get::<u64>("slow").await.unwrap(), Some(3));

    all.cycle_id().await.unwrap();
    all.save().await.unwrap();
    let second = all.id().unwrap();
    assert_ne!(first, second);
    assert_eq!(store.load(&first).await.unwrap(), None);
    assert_eq!(open(Some(second)).get::<u64>("n").await.unwrap(), Some(1));

    let cleared = open(Some(second));
    cleared.clear().await;
    cleared.insert("only", 1).await.unwrap();
    cleared.save().await.unwrap();
    assert_eq!(values(&store, second).await, Some(numbers(&[("only", 1)])));
    let flushed = open(Some(second));
    flushed.get::<u64>("only").await.unwrap();
    flushed.flush().await.unwrap();
    assert!(flushed.is_empty().await);
    assert_eq!(store.load(&second).await.unwrap(), None);
}

macro_rules! over {
    ($engine:ident $attributes:tt $connect:ident) => {
        mod $engine {
            use super::*;
            over!(@ $attributes $connect, contract dates merging logout sessions);
        }
    };
    (@ $attributes:tt $connect:ident, $($test:ident)+) => {
        $(over!(@ $attributes $connect $test);)+
    };
    (@ [$(#[$attribute:meta])*] $connect:ident $test:ident) => {
        #[tokio::test]
        $(#[$attribute])*
        async fn $test() {
            let (_kept, provider) = $connect().await;
            super::$test(provider).await;
        }
    };
}

#[expect(clippy::unused_async, reason = "called as the others are")]
async fn in_memory() -> ((), Arc<dyn Provider>) {
    ((), Arc::new(MemoryProvider::new()))
}

async fn in_a_file() -> (tempfile::TempDir, Arc<dyn Provider>) {
    let directory = tempfile::tempdir().unwrap();
    let config = SqliteConfig::file(directory.path().join("sessions.db"));
    let config = config.busy_timeout(std::time::Duration::from_secs(20));
    (directory, Arc::new(SqliteProvider::connect(config).await.unwrap()))
}

async fn on_redis() -> ((), Arc<dyn Provider>) {
    let config: RedisConfig = compose::REDIS.address().parse().unwrap();
    let prefix = format!("tower-sessions-{:x}:", Version::random().0);
    ((), Arc::new(config.prefix(prefix).connect().await.unwrap()))
}

over!(memory [] in_memory);
over!(sqlite [] in_a_file);
over!(redis [#[ignore = "needs a server: cargo xtask test"]] on_redis);

#[tokio::test]
async fn every_call_is_one_round_trip_and_a_conflict_one_more() {
    let (provider, spy) = Spy::on(Arc::new(MemoryProvider::new()));
    let store = store(provider);
    let id = stored(&store, &[("n", 1)]).await.id;
    assert_eq!(spy.methods(), [Method::Write]);
    let mut first = store.load(&id).await.unwrap().unwrap();
    let mut second = store.load(&id).await.unwrap().unwrap();
    assert_eq!(spy.methods(), [Method::Read, Method::Read]);
    first.data.insert("first".into(), json!(1));
    store.save(&first).await.unwrap();
    assert_eq!(spy.methods(), [Method::Write]);
    second.data.insert("second".into(), json!(2));
    store.save(&second).await.unwrap();
    assert_eq!(spy.methods(), [Method::Write, Method::Write]);
    store.delete(&id).await.unwrap();
    assert_eq!(spy.methods(), [Method::Destroy]);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_counts_once() {
    let (provider, faulty) = Faulty::on(Arc::new(MemoryProvider::new()));
    let store = store(provider);
    faulty.strike(Fault::Lost, 0, 1);
    let created = stored(&store, &[("n", 1)]).await;
    assert!(faulty.heal());
    let mut loaded = store.load(&created.id).await.unwrap().unwrap();
    loaded.data.insert("n".into(), json!(2));
    faulty.strike(Fault::Lost, 0, 1);
    store.save(&loaded).await.unwrap();
    assert!(faulty.heal());
    assert_eq!(values(&store, created.id).await, Some(numbers(&[("n", 2)])));
    faulty.strike(Fault::Lost, 0, 1);
    store.delete(&created.id).await.unwrap();
    assert!(faulty.heal());
    assert_eq!(values(&store, created.id).await, None);
    faulty.down(Fault::Refused);
    assert!(store.load(&created.id).await.is_err(), "an engine that is down is no logout");
}

#[tokio::test]
async fn an_engine_that_leaves_the_record_with_the_client_is_refused() {
    use session_cookie as _;
    let config =
        r#"{"cookieName":"__Host-session","securityKey":"a key for tests that is long enough, at last"}"#;
    let provider = session_core::connect("cookie", ConnectOptions::new(config)).await.unwrap();
    let manager = Manager::builder_shared(provider).build().unwrap();
    assert_eq!(EngineStore::new(manager).unwrap_err().kind(), ErrorKind::Config);
}
