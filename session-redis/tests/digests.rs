//! Redis 8.6, whose `SET` compares digests, so that a write over a record needs no script.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::engine::{Condition, DestroyOutcome, Rename, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, State, Value};
use session_core::{ErrorKind, Provider};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, config, connect, count, counter, increment, manager, next, number, proxied, stored};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

async fn read(provider: &RedisProvider, id: &StorageId) -> Record {
    provider.read(id, IDLE).await.unwrap().unwrap()
}

async fn write(provider: &RedisProvider, id: &StorageId, record: &Record, over: &Record) -> WriteOutcome {
    provider.write(id, record, Condition::Over(over.stamp()), IDLE).await.unwrap()
}

/// The number of calls of scripts.
fn scripts(server: &Redis) -> u64 {
    server.calls("evalsha").unwrap() + server.calls("eval").unwrap()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_that_was_read_is_replaced_without_a_script() {
    let server = Redis::start_8_6(&[]).unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, _) = stored(&provider).await;
    let first = read(&provider, &id).await;
    let (before, trips) = (scripts(&server), proxy.counts());
    let mut second = next(&first, 2);
    let WriteOutcome::Stored(stored) = write(&provider, &id, &second, &first).await else { panic!() };
    assert_eq!((proxy.counts() - trips).round_trips, 1);
    // A second write of one request has only the token that the first one has returned.
    second.cas = stored.cas;
    let third = next(&second, 3);
    assert!(matches!(write(&provider, &id, &third, &second).await, WriteOutcome::Stored(_)));
    assert_eq!(scripts(&server) - before, 0);
    assert_eq!(number(&read(&provider, &id).await), 3);
    let key = format!("session:{}", id.to_text());
    let ttl: i64 = server.cli(&["PTTL", &key]).unwrap().trim().parse().unwrap();
    assert!((1_700_000..=1_800_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_refused_write_returns_the_stored_record_and_its_token() {
    let server = Redis::start_8_6(&[]).unwrap();
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    let first = read(&provider, &id).await;
    let second = next(&first, 2);
    write(&provider, &id, &second, &first).await;
    let late = next(&first, 9);
    let WriteOutcome::Refused(refusal) = write(&provider, &id, &late, &first).await else { panic!() };
    let current = *refusal.current.unwrap();
    assert_eq!(current.header.version(), second.header.version());
    let merged = next(&current, 3);
    let before = scripts(&server);
    assert!(matches!(write(&provider, &id, &merged, &current).await, WriteOutcome::Stored(_)));
    assert_eq!(scripts(&server) - before, 0);
    // A record that has ended is not brought back.
    let newest = read(&provider, &id).await;
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
    let outcome = write(&provider, &id, &next(&newest, 4), &newest).await;
    assert!(matches!(outcome, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    assert!(!provider.exists(&id).await.unwrap());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn without_a_token_or_with_an_owner_the_script_compares_versions() {
    let server = Redis::start_8_6(&[]).unwrap();
    let provider = connect(&server.url()).await;
    // The record was built here, not read.
    let (id, first) = stored(&provider).await;
    let before = scripts(&server);
    let mut second = next(&first, 2);
    second.header.owner = Some(Owner([7; 32]));
    assert!(matches!(write(&provider, &id, &second, &first).await, WriteOutcome::Stored(_)));
    let owned = read(&provider, &id).await;
    let mut third = next(&owned, 3);
    assert!(matches!(write(&provider, &id, &third, &owned).await, WriteOutcome::Stored(_)));
    // The script also removes the entry of an owner that the session has no longer.
    third.header.owner = None;
    let fourth = next(&third, 4);
    assert!(matches!(write(&provider, &id, &fourth, &third).await, WriteOutcome::Stored(_)));
    assert!(scripts(&server) - before >= 3);
    assert_eq!(number(&read(&provider, &id).await), 4);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_record_is_replaced_by_renaming() {
    let server = Redis::start_8_6(&[]).unwrap();
    let provider = connect(&server.url()).await;
    let (id, _) = stored(&provider).await;
    let first = read(&provider, &id).await;
    let mut second = next(&first, 2);
    second.body.insert("text", Value::encode(&"x".repeat(20_000)).unwrap());
    let before = scripts(&server);
    assert!(matches!(write(&provider, &id, &second, &first).await, WriteOutcome::Stored(_)));
    assert_eq!(scripts(&server) - before, 0, "the record that was read is small");
    let second = read(&provider, &id).await;
    let mut third = next(&second, 3);
    third.body.insert("text", Value::encode(&"y".repeat(20_000)).unwrap());
    assert!(matches!(write(&provider, &id, &third, &second).await, WriteOutcome::Stored(_)));
    assert_eq!(server.calls("rename").unwrap(), 1);
    assert_eq!(number(&read(&provider, &id).await), 3);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_does_not_compare_digests_is_used_as_before() {
    let server = Redis::start().unwrap();
    let pretender = change(server.process().address(), Change::Version).await;
    let manager = manager(&format!("redis://:session@{pretender}"), Duration::from_secs(5)).await;
    let token = counter(&manager).await;
    for _ in 0..3 {
        increment(&manager, &token).await.unwrap();
    }
    assert_eq!(count(&manager, &token).await, 3);
    assert!(scripts(&server) >= 3);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_read_returns_the_token_of_the_stored_record() {
    let server = Redis::start_8_6(&[]).unwrap();
    let provider = connect(&server.url()).await;
    let noticed = config(&server.url()).notices(true).connect().await.unwrap();
    let (id, _) = stored(&provider).await;
    let first = read(&provider, &id).await;
    assert_ne!(first.cas, 0);
    assert_eq!(read(&noticed, &id).await.cas, first.cas);
    let page = provider.as_scan().unwrap().scan(None, 10).await.unwrap();
    assert_eq!(page.sessions[0].record.cas, first.cas);
    assert!(noticed.touch(&id, &first, IDLE).await.unwrap());
    let before = scripts(&server);
    assert!(matches!(write(&provider, &id, &next(&first, 2), &first).await, WriteOutcome::Stored(_)));

    // A session that moves has the token of its new record.
    let second = read(&provider, &id).await;
    let (new, third) = (support::id(), next(&second, 3));
    let mut tombstone = next(&second, 0);
    tombstone.header.state = State::Moved(new.clone());
    let rename = Rename::new((&id, second.stamp()), (&new, &third, IDLE), &tombstone);
    let WriteOutcome::Stored(moved) = provider.rename(&rename).await.unwrap() else { panic!() };
    assert_eq!(read(&provider, &new).await.cas, moved.cas);
    assert_eq!(scripts(&server) - before, 0);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_digest_may_begin_with_zeros() {
    let server = Redis::start_8_6(&[]).unwrap();
    // RESP2 announces the version in another form than RESP3, which the other tests use.
    let provider = connect(&format!("{}?protocol=resp2", server.url())).await;
    let (id, _) = stored(&provider).await;
    let mut base = read(&provider, &id).await;
    let (before, mut zeros) = (scripts(&server), 0);
    for number in 2.. {
        zeros += u64::from(base.cas < 1 << 56);
        let mut newer = next(&base, number);
        let WriteOutcome::Stored(stored) = write(&provider, &id, &newer, &base).await else { panic!() };
        newer.cas = stored.cas;
        base = newer;
        if zeros == 3 {
            break;
        }
    }
    assert_eq!(scripts(&server) - before, 0);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_with_another_digest_is_used_as_before() {
    let server = Redis::start_8_6(&[]).unwrap();
    let other = change(server.process().address(), Change::Digests).await;
    let manager = manager(&format!("redis://:session@{other}"), Duration::from_secs(5)).await;
    let token = counter(&manager).await;
    for _ in 0..3 {
        increment(&manager, &token).await.unwrap();
    }
    assert_eq!(count(&manager, &token).await, 3);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_refused_write_has_changed_nothing_even_if_the_record_cannot_be_read() {
    let server = Redis::start_8_6(&[]).unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, _) = stored(&provider).await;
    let first = read(&provider, &id).await;
    write(&provider, &id, &next(&first, 2), &first).await;
    proxy.lose_answers(1, b"$3\r\nGET\r\n");
    let late = provider.write(&id, &next(&first, 9), Condition::Over(first.stamp()), IDLE).await;
    assert_eq!(proxy.answers_to_lose(), 0);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
    // The write itself may have been applied if its own answer is lost.
    let second = read(&provider, &id).await;
    proxy.lose_answers(1, b"IFDEQ");
    let (third, over) = (next(&second, 3), Condition::Over(second.stamp()));
    let lost = provider.write(&id, &third, over, IDLE).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let WriteOutcome::Refused(echo) = provider.write(&id, &third, over, IDLE).await.unwrap() else {
        panic!()
    };
    assert_eq!(echo.current.unwrap().header.version(), third.header.version());
}

/// During an upgrade the nodes of a cluster have several versions.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_nodes_of_a_cluster_may_have_several_versions() {
    let options = ["--cluster-enabled", "yes"];
    let (new, old) = (Redis::start_8_6(&options).unwrap(), Redis::start_with(&options).unwrap());
    new.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]).unwrap();
    old.cli(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]).unwrap();
    let (port, bus) = (old.process().port().to_string(), old.process().place().port_at(1).to_string());
    new.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).unwrap();
    let is_whole = |node: &Redis| {
        let info = node.cli(&["CLUSTER", "INFO"]).unwrap();
        info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !(is_whole(&new) && is_whole(&old)) {
        assert!(std::time::Instant::now() < deadline, "the nodes do not know each other");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (new_address, old_address) = (new.process().address(), old.process().address());
    for nodes in [format!("{new_address},{old_address}"), format!("{old_address},{new_address}")] {
        let manager = manager(&format!("redis+cluster://:session@{nodes}"), Duration::from_secs(5)).await;
        for _ in 0..10 {
            let token = counter(&manager).await;
            for _ in 0..3 {
                increment(&manager, &token).await.unwrap();
            }
            assert_eq!(count(&manager, &token).await, 3);
        }
    }
}

/// A change of the traffic between client and server.
#[derive(Clone, Copy)]
enum Change {
    /// The server's version 7 is announced as 8.7.
    Version,
    /// Each digest arrives as another one.
    Digests,
}

/// Passes connections to a server on, with a change.
async fn change(server: SocketAddr, change: Change) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(pass(from_client, to_server, move |bytes| {
                let digest = bytes.windows(12).position(|window| window == b"IFDEQ\r\n$16\r\n");
                if let (Change::Digests, Some(at)) = (change, digest) {
                    bytes[at + 12..at + 28].reverse();
                }
            }));
            tokio::spawn(pass(from_server, to_client, move |bytes| {
                let version = bytes.windows(4).position(|window| window == b"\n7.0");
                if let (Change::Version, Some(at)) = (change, version) {
                    bytes[at..at + 4].copy_from_slice(b"\n8.7");
                }
            }));
        }
    });
    address
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut change: impl FnMut(&mut [u8])) {
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        change(&mut bytes[..length]);
        to.write_all(&bytes[..length]).await.unwrap();
    }
}
