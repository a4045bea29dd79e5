//! An application's `deadpool-redis` pool: the cost of calls, the number of objects held, and the
//! handling of failures.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::Duration;

use deadpool_redis::{Config, Pool, Runtime};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::{ErrorKind, Provider};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, count, counter, id, increment, next, number, proxied, session, stored};

fn pool(url: &str, size: usize) -> Pool {
    let pool = Config::from_url(url).builder().unwrap().max_size(size).runtime(Runtime::Tokio1);
    pool.wait_timeout(Some(Duration::from_millis(500))).build().unwrap()
}

/// Counts the commands that the server executes meanwhile.
async fn commands<F: Future>(server: &Redis, names: &[&str], work: F) -> (Vec<u64>, F::Output) {
    let calls = || names.iter().map(|name| server.calls(name).unwrap()).collect::<Vec<_>>();
    let before = calls();
    let output = work.await;
    (calls().iter().zip(before).map(|(after, before)| after - before).collect(), output)
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn each_call_is_one_command_and_none_is_a_ping() {
    let server = Redis::start().unwrap();
    let provider = RedisProvider::from_pool(pool(&server.url(), 8));
    // Two sessions were created and destroyed, so the server knows the scripts.
    for _ in 0..2 {
        let (id, record) = stored(&provider).await;
        let over = Condition::Over(record.stamp());
        provider.write(&id, &next(&record, 2), over, IDLE).await.unwrap();
        provider.destroy(&id, None).await.unwrap();
    }
    let names = ["ping", "unwatch", "set", "getex", "evalsha", "eval"];
    let (id, record) = (id(), session(1));
    let work = async {
        for _ in 0..10 {
            provider.read(&id, IDLE).await.unwrap();
        }
        provider.write(&id, &record, Condition::Absent, IDLE).await.unwrap();
        let outcome = provider.write(&id, &next(&record, 2), Condition::Over(record.stamp()), IDLE).await;
        assert!(matches!(outcome.unwrap(), WriteOutcome::Stored(_)));
        assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
    };
    let (counted, ()) = commands(&server, &names, work).await;
    // One of the two `SET` commands is the script's.
    assert_eq!(counted, [0, 0, 2, 10, 2, 0]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_call_is_one_round_trip() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = RedisProvider::from_pool(pool(&proxied(&proxy), 8));
    let (id, _) = stored(&provider).await;
    let before = proxy.counts();
    for _ in 0..10 {
        provider.read(&id, IDLE).await.unwrap().unwrap();
    }
    let counts = proxy.counts() - before;
    assert_eq!((counts.round_trips, counts.connections), (10, 0));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn up_to_two_objects_are_held_and_given_back() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    for (size, held) in [(16, 2), (2, 2), (1, 1)] {
        let pool = pool(&proxied(&proxy), size);
        let provider = RedisProvider::from_pool(pool.clone());
        proxy.delay_answers(Duration::from_millis(5));
        for _ in 0..20 {
            let reads = (0..64).map(|_| {
                let provider = provider.clone();
                tokio::spawn(async move { provider.read(&id(), IDLE).await.unwrap() })
            });
            for read in reads.collect::<Vec<_>>() {
                assert!(read.await.unwrap().is_none());
            }
        }
        proxy.delay_answers(Duration::ZERO);
        let status = pool.status();
        assert_eq!((status.size - status.available, status.max_size), (held, size));
        drop(provider);
        for _ in 0..200 {
            if pool.status().available == held {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(pool.status().available, held, "they are not given back");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_exhausted_pool_is_reported() {
    let server = Redis::start().unwrap();
    let pool = pool(&server.url(), 1);
    let taken = pool.get().await.unwrap();
    let provider = RedisProvider::from_pool(pool);
    let error = provider.read(&id(), IDLE).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("pool"), "{error:?}");
    drop(taken);
    tokio::time::sleep(Duration::from_millis(250)).await;
    stored(&provider).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restarted_server_and_a_broken_connection_affect_no_user() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = RedisProvider::from_pool(pool(&proxied(&proxy), 8));
    let manager = session_core::Manager::builder(provider).build().unwrap();
    let token = counter(&manager).await;
    for _ in 0..5 {
        increment(&manager, &token).await.unwrap();
        proxy.cut();
    }
    assert_eq!(count(&manager, &token).await, 5);
    server.process().restart().unwrap();
    assert!(manager.load(&token).await.unwrap().is_none(), "nothing was kept on disk");
    counter(&manager).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_connection_to_a_replica_is_taken_out_of_the_pool() {
    let master = Redis::start().unwrap();
    let server = Redis::start().unwrap();
    let pool = pool(&server.url(), 4);
    let provider = RedisProvider::from_pool(pool.clone());
    let (id, _) = stored(&provider).await;
    server.cli(&["REPLICAOF", "127.0.0.1", &master.process().port().to_string()]).unwrap();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(pool.status().size, 0);
    server.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let (id, _) = stored(&provider).await;
    assert_eq!(number(&provider.read(&id, IDLE).await.unwrap().unwrap()), 1);
}
