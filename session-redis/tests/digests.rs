//! Redis 8.6, whose `SET` compares digests, so that a write over a record needs no script.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Value};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, connect, count, counter, increment, manager, next, number, proxied, stored};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    let pretender = pretend_8_7(server.process().address()).await;
    let manager = manager(&format!("redis://:session@{pretender}"), Duration::from_secs(5)).await;
    let token = counter(&manager).await;
    for _ in 0..3 {
        increment(&manager, &token).await.unwrap();
    }
    assert_eq!(count(&manager, &token).await, 3);
    assert!(scripts(&server) >= 3);
}

/// A connection to a server that is passed on, except that version 7 is announced as version 8.7.
async fn pretend_8_7(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let to_server = TcpStream::connect(server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = to_server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    let answer = &mut bytes[..length];
                    if let Some(at) = answer.windows(4).position(|window| window == b"\n7.0") {
                        answer[at..at + 4].copy_from_slice(b"\n8.7");
                    }
                    to_client.write_all(answer).await.unwrap();
                }
            });
        }
    });
    address
}
