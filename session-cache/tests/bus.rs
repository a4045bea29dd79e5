//! Changes by another process arrive over the bus; the loss of the bus.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use session_cache::Bus;
use session_core::engine::Rename;
use session_core::record::State;
use session_core::{ErrorKind, Provider as _};
use session_postgres::PostgresProvider;
use session_servers::compose;
use support::{
    A_WHILE, Engine, IDLE, MAX_STALE, cached, change, is_stored, keep, next, redis, seen, stored, until,
    until_bus,
};
use tokio::time::sleep;

async fn changes_of_another_process_are_seen(engine: Engine) {
    let location = engine.location();
    let there = location.connect().await;
    let (apart, _proxy) = location.connect_apart().await;
    let here = cached(Arc::clone(&apart) as _, MAX_STALE);
    until_bus(&here, Bus::Connected).await;

    let (id, record) = stored(&*there).await;
    keep(&here, &apart, &id).await;
    change(&*there, &id, &record).await;
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
    let (new, moved) = (support::id(), next(&record));
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
    let location = engine.location();
    let there = location.connect().await;
    let (apart, proxy) = location.connect_apart().await;
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
    let second = change(&*there, &changed, &record).await;

    proxy.accept().unwrap();
    until_bus(&here, Bus::Connected).await;
    let read = here.read(&changed, IDLE).await.unwrap().unwrap();
    assert_eq!(read.header.version(), second.header.version(), "what was kept before the loss is not shown");
    keep(&here, &apart, &kept).await;
}

async fn a_silently_broken_bus_is_noticed(engine: Engine) {
    let location = engine.location();
    let there = location.connect().await;
    let (apart, proxy) = location.connect_apart().await;
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
            a_silently_broken_bus_is_noticed
        }
    };
}

engine!(postgres, Engine::Postgres);
engine!(redis_7, Engine::Redis(compose::REDIS));
engine!(redis_6_2, Engine::Redis(compose::REDIS_6_2));
engine!(redis_8_6, Engine::Redis(compose::REDIS_8_6));
engine!(valkey, Engine::Redis(compose::VALKEY));

/// Clusters and sentinels have no proxy for a bus.
async fn changes_are_seen_from_every_master(engine: Engine) {
    let location = engine.location();
    let (there, here) = (location.connect().await, cached(location.connect().await, MAX_STALE));
    until_bus(&here, Bus::Connected).await;
    // Enough for every master of a cluster to have some.
    for _ in 0..20 {
        let (id, record) = stored(&*there).await;
        let end = tokio::time::Instant::now() + A_WHILE;
        while tokio::time::Instant::now() < end {
            here.read(&id, IDLE).await.unwrap();
            sleep(A_WHILE / 10).await;
        }
        change(&*there, &id, &record).await;
        seen("a write", &here, &id, &record).await;
    }
}

engine!(cluster, Engine::Redis(compose::REDIS_CLUSTER), changes_are_seen_from_every_master);
engine!(sentinel, Engine::Redis(compose::REDIS_SENTINEL), changes_are_seen_from_every_master);

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_reports_that_no_notices_can_arrive() {
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
