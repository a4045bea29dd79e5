//! What another process changes is seen by the bus, and what happens when the bus is lost.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_cache::{Bus, Cached};
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, SystemClock};
use session_core::engine::{Condition, Rename, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, State, Value, Version};
use session_core::{ErrorKind, Provider};
use session_postgres::PostgresProvider;
use session_servers::compose;
use support::{Apart, Engine, cached, redis, until, until_bus};
use tokio::time::sleep;

const IDLE: Duration = Duration::from_secs(1_800);
/// Longer than a test waits for a change: what is seen earlier was seen because of the bus.
const MAX_STALE: Duration = Duration::from_secs(60);
/// Longer than a notice that is still under way normally takes.
const A_WHILE: Duration = Duration::from_millis(200);

fn id() -> StorageId {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&Version::random().0.to_be_bytes());
    }
    StorageId::from_hash(bytes)
}

fn owner() -> Owner {
    Owner(id().as_bytes().try_into().unwrap())
}

/// A session of somebody that is stored.
async fn stored(engine: &dyn Provider) -> (StorageId, Record) {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("n", Value::encode(&1_u64).unwrap());
    let mut record = Record::new(Header::new(now, now.after(IDLE * 24), now.after(IDLE)), body);
    record.header.owner = Some(owner());
    let id = id();
    assert!(is_stored(&engine.write(&id, &record, Condition::Absent, IDLE).await.unwrap()));
    (id, record)
}

fn is_stored(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Stored(_))
}

fn next(record: &Record) -> Record {
    Record::new(record.header.next(), record.body.clone())
}

/// Reads until the session comes from memory, and for a while.
async fn keep(here: &Cached, engine: &Apart, id: &StorageId) {
    until("the session is kept", async || {
        assert!(here.read(id, IDLE).await.unwrap().is_some());
        let before = engine.reads();
        sleep(A_WHILE).await;
        here.read(id, IDLE).await.unwrap();
        engine.reads() == before
    })
    .await;
}

/// Until this process sees another version than that of a record, or none.
async fn seen(what: &str, here: &Cached, id: &StorageId, old: &Record) {
    until(what, async || {
        let read = here.read(id, IDLE).await.unwrap();
        read.is_none_or(|read| read.header.version() != old.header.version())
    })
    .await;
}

async fn changes_of_another_process_are_seen(engine: Engine) {
    let place = engine.place();
    let there = place.connect().await;
    let (apart, _proxy) = place.connect_apart().await;
    let here = cached(Arc::clone(&apart) as _, MAX_STALE);
    until_bus(&here, Bus::Connected).await;

    let (id, record) = stored(&*there).await;
    keep(&here, &apart, &id).await;
    let second = next(&record);
    let written = there.write(&id, &second, Condition::Over(record.stamp()), IDLE).await.unwrap();
    assert!(is_stored(&written));
    seen("a write", &here, &id, &record).await;

    keep(&here, &apart, &id).await;
    there.destroy(&id, None).await.unwrap();
    until("a logout", async || here.read(&id, IDLE).await.unwrap().is_none()).await;

    let (id, record) = stored(&*there).await;
    keep(&here, &apart, &id).await;
    there.destroy(&id, Some(record.stamp())).await.unwrap();
    until("a logout of this version", async || here.read(&id, IDLE).await.unwrap().is_none()).await;

    let (old, record) = stored(&*there).await;
    keep(&here, &apart, &old).await;
    let (new, moved) = (self::id(), next(&record));
    let mut tombstone = next(&record);
    tombstone.header.state = State::Moved(new.clone());
    let rename = Rename::new((&old, record.stamp()), (&new, &moved, IDLE), &tombstone);
    assert!(is_stored(&there.rename(&rename).await.unwrap()));
    seen("a new id", &here, &old, &record).await;

    let (id, record) = stored(&*there).await;
    keep(&here, &apart, &id).await;
    there.as_indexed().unwrap().end_owner(&record.header.owner.unwrap(), 10).await.unwrap();
    until("the end of all sessions", async || here.read(&id, IDLE).await.unwrap().is_none()).await;
}

async fn a_lost_bus_turns_the_cache_off_until_it_is_back(engine: Engine) {
    let place = engine.place();
    let there = place.connect().await;
    let (apart, proxy) = place.connect_apart().await;
    let here = cached(Arc::clone(&apart) as _, MAX_STALE);
    let (ended, _) = stored(&*there).await;
    let (changed, record) = stored(&*there).await;
    let (kept, _) = stored(&*there).await;
    for id in [&ended, &changed, &kept] {
        keep(&here, &apart, id).await;
    }

    proxy.refuse();
    proxy.cut();
    until_bus(&here, Bus::Lost).await;
    there.destroy(&ended, None).await.unwrap();
    assert!(here.read(&ended, IDLE).await.unwrap().is_none(), "seen at once, by asking the engine");
    let before = apart.reads();
    for _ in 0..3 {
        assert!(here.read(&kept, IDLE).await.unwrap().is_some());
    }
    assert_eq!(apart.reads(), before + 3);
    let second = next(&record);
    assert!(is_stored(&there.write(&changed, &second, Condition::Over(record.stamp()), IDLE).await.unwrap()));

    proxy.accept().unwrap();
    until_bus(&here, Bus::Connected).await;
    let read = here.read(&changed, IDLE).await.unwrap().unwrap();
    assert_eq!(read.header.version(), second.header.version(), "what was kept before the loss is not shown");
    keep(&here, &apart, &kept).await;
}

async fn a_bus_that_died_in_silence_is_noticed(engine: Engine) {
    let place = engine.place();
    let there = place.connect().await;
    let (apart, proxy) = place.connect_apart().await;
    let here = cached(Arc::clone(&apart) as _, MAX_STALE);
    let (id, _) = stored(&*there).await;
    keep(&here, &apart, &id).await;
    proxy.forget_connections();
    there.destroy(&id, None).await.unwrap();
    until("a logout", async || here.read(&id, IDLE).await.unwrap().is_none()).await;
    until_bus(&here, Bus::Connected).await;
    let (id, _) = stored(&*there).await;
    keep(&here, &apart, &id).await;
}

macro_rules! engine {
    ($name:ident, $engine:expr, $($test:ident)+) => {
        mod $name {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "needs a server: cargo xtask test"]
                async fn $test() {
                    super::$test($engine).await;
                }
            )+
        }
    };
    ($name:ident, $engine:expr) => {
        engine! {
            $name, $engine,
            changes_of_another_process_are_seen
            a_lost_bus_turns_the_cache_off_until_it_is_back
            a_bus_that_died_in_silence_is_noticed
        }
    };
}

engine!(postgres, Engine::Postgres);
engine!(redis_7, Engine::Redis(compose::REDIS));
engine!(redis_6_2, Engine::Redis(compose::REDIS_6_2));
engine!(valkey, Engine::Redis(compose::VALKEY));

/// A cluster and sentinels have no proxy that a bus could come through.
async fn changes_are_seen_from_every_master(engine: Engine) {
    let place = engine.place();
    let (there, here) = (place.connect().await, cached(place.connect().await, MAX_STALE));
    until_bus(&here, Bus::Connected).await;
    // So many that every master of a cluster has some.
    for _ in 0..20 {
        let (id, record) = stored(&*there).await;
        let end = tokio::time::Instant::now() + A_WHILE;
        while tokio::time::Instant::now() < end {
            here.read(&id, IDLE).await.unwrap();
            sleep(A_WHILE / 10).await;
        }
        let second = next(&record);
        assert!(is_stored(&there.write(&id, &second, Condition::Over(record.stamp()), IDLE).await.unwrap()));
        seen("a write", &here, &id, &record).await;
    }
}

engine!(cluster, Engine::Redis(compose::REDIS_CLUSTER), changes_are_seen_from_every_master);
engine!(sentinel, Engine::Redis(compose::REDIS_SENTINEL), changes_are_seen_from_every_master);

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn where_no_notices_can_arrive_connecting_says_so() {
    let url = format!("{}?notices=on&protocol=2", compose::REDIS.address());
    let error = redis(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("RESP3"), "{error}");

    for pooler in [compose::PGBOUNCER_SESSION, compose::PGBOUNCER_TRANSACTION] {
        let url = format!("{}?table=bus_refused&notices=true", pooler.address());
        let error = PostgresProvider::connect(url.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("pooler"), "{error}");
    }
}
