//! The cost of each call, as counted by the server.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::Duration;

use session_core::Provider;
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::record::State;
use session_core::transport::Incoming;
use session_redis::{Count, RedisProvider};
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, config, connect, id, manager, next, number, proxied, session, stored};

/// The commands that the server executes meanwhile, without the handshake of the connection.
async fn commands<F: Future>(server: &Redis, work: F) -> (Vec<(String, u64)>, F::Output) {
    server.cli(&["CONFIG", "RESETSTAT"]).unwrap();
    let output = work.await;
    let stats = server.cli(&["INFO", "commandstats"]).unwrap();
    let parse = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        // The test's own client logs in, and sends this query.
        let ours = !matches!(name, "auth" | "info" | "config|resetstat" | "command|docs" | "command");
        ours.then(|| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))).flatten()
    };
    let mut counted: Vec<_> = stats.lines().filter_map(parse).collect();
    counted.sort();
    (counted, output)
}

fn calls(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_call_is_one_command() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let (new, record) = (id(), session(7));

    let create = provider.write(&new, &record, Condition::Absent, IDLE);
    let (counted, outcome) = commands(&server, create).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Stored(_)));
    assert_eq!(counted, calls(&[("set", 1)]));

    let (counted, read) = commands(&server, provider.read(&new, IDLE)).await;
    let read = read.unwrap().unwrap();
    assert_eq!((counted, number(&read)), (calls(&[("getex", 1)]), 7));

    // The first time, the server does not know the script, and receives it.
    let second = next(&read, 8);
    let write = provider.write(&new, &second, Condition::Over(read.stamp()), IDLE);
    let (counted, outcome) = commands(&server, write).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Stored(_)));
    assert_eq!(counted, calls(&[("eval", 1), ("evalsha", 1), ("getrange", 1), ("set", 1)]));
    let third = next(&second, 9);
    let write = provider.write(&new, &third, Condition::Over(second.stamp()), IDLE);
    let (counted, outcome) = commands(&server, write).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Stored(_)));
    assert_eq!(counted, calls(&[("evalsha", 1), ("getrange", 1), ("set", 1)]));

    let (counted, exists) = commands(&server, provider.exists(&new)).await;
    assert_eq!((counted, exists.unwrap()), (calls(&[("getrange", 1)]), true));

    let _ = provider.destroy(&id(), None).await.unwrap();
    let (counted, outcome) = commands(&server, provider.destroy(&new, Some(third.stamp()))).await;
    assert!(matches!(outcome.unwrap(), DestroyOutcome::Destroyed));
    assert_eq!(counted, calls(&[("evalsha", 1), ("getrange", 1), ("unlink", 1)]));
    assert_eq!(provider.gc(100).await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_request_costs_the_promised_round_trips() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let manager = manager(&proxied(&proxy), Duration::from_secs(5)).await;
    let trips =
        async |what: &str, expected: u64, work: &dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
            let before = proxy.counts();
            work().await;
            assert_eq!((proxy.counts() - before).round_trips, expected, "{what}");
        };
    // From here on, the server knows the scripts.
    let token = support::counter(&manager).await;
    support::increment(&manager, &token).await.unwrap();
    manager.destroy(&token).await.unwrap();

    let untouched = manager.clone();
    trips("untouched", 0, &|| {
        let manager = untouched.clone();
        Box::pin(async move { drop(manager.request(Incoming::default())) })
    })
    .await;
    let token = support::counter(&manager).await;
    let all = || (manager.clone(), token.clone());
    trips("create", 1, &|| {
        let (manager, _) = all();
        Box::pin(async move { drop(support::counter(&manager).await) })
    })
    .await;
    trips("read, sliding", 1, &|| {
        let (manager, token) = all();
        Box::pin(async move { manager.load(&token).await.unwrap().unwrap().release().await.unwrap() })
    })
    .await;
    trips("read-modify-write", 2, &|| {
        let (manager, token) = all();
        Box::pin(async move { support::increment(&manager, &token).await.unwrap() })
    })
    .await;
    let moved = manager.load(&token).await.unwrap().unwrap();
    let session = moved.clone();
    trips("regenerate, after the read", 2, &|| {
        let session = session.clone();
        Box::pin(async move {
            session.regenerate().unwrap();
            session.release().await.unwrap();
        })
    })
    .await;
    let token = moved.token().unwrap();
    trips("destroy", 1, &|| {
        let (manager, token) = (manager.clone(), token.clone());
        Box::pin(async move { assert!(manager.destroy(&token).await.unwrap()) })
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_read_slides_and_a_tombstone_does_not() {
    let server = Redis::start().unwrap();
    let provider = config(&server.url()).prefix("t:").connect().await.unwrap();
    let (old, record) = stored(&provider).await;
    let ttl = |id: &session_core::id::StorageId| -> i64 {
        server.cli(&["PTTL", &format!("t:{}", id.to_text())]).unwrap().trim().parse().unwrap()
    };
    let hour = Duration::from_secs(3_600);
    provider.read(&old, hour).await.unwrap().unwrap();
    assert!((3_590_000..=3_600_000).contains(&ttl(&old)), "{}", ttl(&old));

    let new = id();
    let mut tombstone = next(&record, 0);
    tombstone.header.state = State::Moved(new.clone());
    let over = Condition::Over(record.stamp());
    provider.write(&old, &tombstone, over, Duration::from_secs(60)).await.unwrap();
    let read = provider.read(&old, hour).await.unwrap().unwrap();
    assert_eq!(read.header.state, State::Moved(new.clone()));
    assert!(!provider.exists(&old).await.unwrap());
    // A background command restores the short lifetime.
    for _ in 0..200 {
        if ttl(&old) <= 60_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((1..=60_000).contains(&ttl(&old)), "{}", ttl(&old));
    let outcome = provider.destroy(&old, None).await.unwrap();
    assert!(matches!(&outcome, DestroyOutcome::Moved(to) if *to == new), "{outcome:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_write_carries_its_time_to_live_in_whole_milliseconds_and_never_zero() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    for ttl in [Duration::from_nanos(1), Duration::from_micros(1_500)] {
        let (id, record) = (id(), session(1));
        provider.write(&id, &record, Condition::Absent, ttl).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(provider.read(&id, IDLE).await.unwrap().is_none(), "{ttl:?}");
    }
    let (id, record) = stored(&provider).await;
    let second = next(&record, 2);
    provider.write(&id, &second, Condition::Over(record.stamp()), Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let late = provider.write(&id, &next(&second, 3), Condition::Over(second.stamp()), IDLE).await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(ref refusal) if refusal.current.is_none()), "{late:?}");
    // The maximum, and times after 2038 and after the year 9999.
    let year = Duration::from_secs(366 * 86_400);
    for long in [20 * year, 10_000 * year, Duration::MAX] {
        let (id, first) = stored(&provider).await;
        assert!(provider.read(&id, long).await.unwrap().is_some(), "{long:?}");
        let second = next(&first, 2);
        provider.write(&id, &second, Condition::Over(first.stamp()), long).await.unwrap();
        assert_eq!(number(&provider.read(&id, long).await.unwrap().unwrap()), 2, "{long:?}");
        assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
        let created = provider.write(&id, &session(3), Condition::Absent, long).await.unwrap();
        assert!(matches!(created, WriteOutcome::Stored(_)), "{long:?}");
    }
    assert!(provider.read(&id, Duration::ZERO).await.is_ok());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn counting_walks_through_its_own_keys_and_never_asks_for_all() {
    let server = Redis::start().unwrap();
    // A prefix in which every character is special in a pattern.
    let provider = config(&server.url()).prefix("a*[b]?\\:").connect().await.unwrap();
    let other = config(&server.url()).prefix("axb:").connect().await.unwrap();
    for _ in 0..2_500 {
        stored(&provider).await;
    }
    stored(&other).await;
    let (counted, count) = commands(&server, provider.count()).await;
    assert_eq!(count.unwrap(), Some(2_500));
    let walks = |name: &str| matches!(name, "scan" | "getrange" | "dbsize");
    assert!(counted.iter().all(|(name, _)| walks(name)), "{counted:?}");
    assert_eq!(other.count().await.unwrap(), Some(1));

    // One command for a database without other keys, and none.
    let (counted, count) = commands(&server, provider.clone().with_count(Count::Approximate).count()).await;
    assert_eq!((count.unwrap(), counted), (Some(2_501), calls(&[("dbsize", 1)])));
    let off = provider.clone().with_count(Count::Off);
    assert!(!off.capabilities().enumerable);
    let (counted, count) = commands(&server, off.count()).await;
    assert_eq!((count.unwrap(), counted), (None, calls(&[])));
}

/// Sends `count` concurrent reads, each of a session that does not exist.
async fn read_at_once(provider: &RedisProvider, count: usize) {
    let reads = (0..count).map(|_| {
        let provider = provider.clone();
        tokio::spawn(async move { provider.read(&id(), IDLE).await.unwrap() })
    });
    for read in reads.collect::<Vec<_>>() {
        assert!(read.await.unwrap().is_none());
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn requests_share_one_connection_and_two_when_many_wait() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    for _ in 0..20 {
        read_at_once(&provider, 1).await;
    }
    assert_eq!(proxy.counts().connections, 1);

    proxy.delay_answers(Duration::from_millis(5));
    for _ in 0..20 {
        read_at_once(&provider, 64).await;
    }
    assert_eq!(proxy.counts().connections, 2);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_at_its_connection_limit_is_used_over_the_existing_connection() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    proxy.refuse();
    proxy.delay_answers(Duration::from_millis(5));
    read_at_once(&provider, 64).await;
    assert_eq!(proxy.counts().connections, 1);
}
