//! Shared by the tests: records, ids and two managers that share only the server.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; helpers are test code too

use std::time::Duration;

use session_core::clock::{Clock as _, SystemClock};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value, Version};
use session_core::{Error, Manager, Provider, Result};
use session_redis::{RedisConfig, RedisProvider};
use session_servers::proxy::Proxy;

pub const IDLE: Duration = Duration::from_secs(1_800);

/// A new id.
pub fn id() -> StorageId {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&Version::random().0.to_be_bytes());
    }
    StorageId::from_hash(bytes)
}

/// The record of a session that contains a number.
pub fn session(number: u64) -> Record {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("number", Value::encode(&number).unwrap());
    Record::new(Header::new(now, now.after(IDLE * 24), now.after(IDLE)), body)
}

/// The next record of a session.
pub fn next(record: &Record, number: u64) -> Record {
    Record::new(record.header.next(), session(number).body)
}

pub fn number(record: &Record) -> u64 {
    record.body.get("number").unwrap().decode().unwrap()
}

pub async fn connect(url: &str) -> RedisProvider {
    config(url).connect().await.unwrap()
}

/// A configuration that connects through a proxy in front of a server.
pub fn proxied(proxy: &Proxy) -> String {
    format!("redis://:session@{}", proxy.address())
}

pub fn config(url: &str) -> RedisConfig {
    url.parse().unwrap()
}

/// Stores a new session.
pub async fn stored(provider: &RedisProvider) -> (StorageId, Record) {
    let (id, record) = (id(), session(1));
    let outcome = provider.write(&id, &record, Condition::Absent, IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
    (id, record)
}

/// A manager with its own connections, like that of another process.
pub async fn manager(url: &str, timeout: Duration) -> Manager {
    Manager::builder(connect(url).await).operation_timeout(timeout).build().unwrap()
}

/// Creates a session with a counter at zero; returns its token.
pub async fn counter(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("n", &0_u64).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

/// Adds one to a session's counter.
pub async fn increment(manager: &Manager, token: &Token) -> Result<()> {
    let gone = || Error::new(session_core::ErrorKind::Gone, "the session is not there");
    let session = manager.load(token).await?.ok_or_else(gone)?;
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.release().await
}

/// The value of the counter.
pub async fn count(manager: &Manager, token: &Token) -> u64 {
    manager.load(token).await.unwrap().expect("the session is there").get("n").unwrap().unwrap()
}
