//! Shared by the tests: a schema on a server, a provider for it, and direct access to the rows.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use std::net::ToSocketAddrs;
use std::time::Duration;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, Rename, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, Value};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::compose;
use session_servers::postgres::Postgres as Server;
use session_servers::proxy::Proxy;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

pub const MINUTE: Duration = Duration::from_mins(1);
pub const DAY: Duration = Duration::from_hours(24);

/// Creates a schema of this name on the shared server, with the table; returns its URL and a
/// provider.
pub async fn start(name: &str) -> (String, PostgresProvider) {
    let url = empty(name).await;
    let sessions = connect(&url).await;
    sessions.migrate().await.unwrap();
    (url, sessions)
}

/// The same without the table.
pub async fn empty(name: &str) -> String {
    let server = compose::POSTGRES.address();
    sql(&server, &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
    schema_url(name)
}

/// The URL of the schema of this name.
pub fn schema_url(name: &str) -> String {
    format!("{}?options=-c%20search_path%3D{name}", compose::POSTGRES.address())
}

/// A private server with the table.
pub async fn start_private(settings: &[&str]) -> (Server, PostgresProvider) {
    let server = Server::start_with(settings).unwrap();
    let sessions = connect(&server.url()).await;
    sessions.migrate().await.unwrap();
    (server, sessions)
}

pub async fn connect(config: &str) -> PostgresProvider {
    connect_result(config).await.unwrap()
}

pub async fn connect_result(config: &str) -> session_core::Result<PostgresProvider> {
    PostgresProvider::connect(config.parse::<PostgresConfig>().unwrap()).await
}

/// Every operation on one session, checked step by step.
pub async fn a_life(sessions: &impl Provider, number: u64) {
    let (old, new) = (hashed(number), hashed(number + 1_000_000));
    let first = record(&format!("it's \\ {number} ä"));
    assert!(is_stored(&create(sessions, &old, &first).await));
    assert!(!is_stored(&create(sessions, &old, &record("another")).await), "it is there");
    let read = sessions.read(&old, MINUTE).await.unwrap().unwrap();
    assert_eq!(read.body, first.body);
    let second = changed(&read, "b");
    assert!(is_stored(&replace(sessions, &old, &first, &second).await));
    assert!(!is_stored(&replace(sessions, &old, &first, &changed(&first, "late")).await));
    assert!(sessions.touch(&old, &second, MINUTE).await.unwrap());
    assert!(sessions.exists(&old).await.unwrap());
    let moved = Move::new(&old, &new, &second);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    assert!(!sessions.exists(&old).await.unwrap());
    assert_eq!(value(&sessions.read(&new, MINUTE).await.unwrap().unwrap()), "b");
    let destroyed = sessions.destroy(&new, None).await.unwrap();
    assert!(matches!(destroyed, session_core::engine::DestroyOutcome::Destroyed));
    assert!(sessions.read(&new, MINUTE).await.unwrap().is_none());
    sessions.gc(10).await.unwrap();
    sessions.count().await.unwrap();
}

/// A proxy in front of the server of this URL, and the URL through it.
pub fn behind_proxy(url: &str) -> (Proxy, String) {
    let host = url.split_once('@').unwrap().1;
    let host = &host[..host.find('/').unwrap()];
    let address = host.to_socket_addrs().unwrap().next().unwrap();
    let proxy = Proxy::start(address).unwrap();
    let url = url.replace(host, &proxy.address().to_string());
    (proxy, url)
}

/// Runs statements without the provider.
pub async fn sql(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The first column of every row, as text.
pub async fn ask(url: &str, question: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.try_get::<String, _>(0).unwrap()).collect()
}

pub fn id(name: &str) -> StorageId {
    StorageId::plain(name).unwrap()
}

/// A hashed id, like a manager's.
pub fn hashed(number: u64) -> StorageId {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    StorageId::from_hash(hash)
}

/// A first record with one value and a lifetime of one day.
pub fn record(value: &str) -> Record {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("value", Value::encode(value).unwrap());
    Record::new(Header::new(now, now.after(DAY), now.after(MINUTE)), body)
}

/// The same for a session with an owner.
pub fn owned(value: &str, owner: Owner) -> Record {
    let mut record = record(value);
    record.header.owner = Some(owner);
    record
}

/// The record with which a request would replace this one.
pub fn changed(record: &Record, value: &str) -> Record {
    let mut body = record.body.clone();
    body.insert("value", Value::encode(value).unwrap());
    Record::new(record.header.next(), body)
}

pub fn value(record: &Record) -> String {
    record.body.get("value").unwrap().decode().unwrap()
}

pub async fn create(sessions: &impl Provider, id: &StorageId, record: &Record) -> WriteOutcome {
    sessions.write(id, record, Condition::Absent, MINUTE).await.unwrap()
}

pub async fn replace(sessions: &impl Provider, id: &StorageId, old: &Record, new: &Record) -> WriteOutcome {
    sessions.write(id, new, Condition::Over(old.stamp()), MINUTE).await.unwrap()
}

/// A rename that owns its arguments.
pub struct Move {
    pub old: StorageId,
    pub new: StorageId,
    pub over: Record,
    pub record: Record,
    pub tombstone: Record,
}

impl Move {
    pub fn new(old: &StorageId, new: &StorageId, over: &Record) -> Self {
        let record = Record::new(over.header.next(), over.body.clone());
        let tombstone = tombstone(over, new);
        Self { old: old.clone(), new: new.clone(), over: over.clone(), record, tombstone }
    }

    pub fn as_rename(&self) -> Rename<'_> {
        Rename::new((&self.old, self.over.stamp()), (&self.new, &self.record, MINUTE), &self.tombstone)
    }
}

pub fn tombstone(over: &Record, new: &StorageId) -> Record {
    let mut tombstone = Record::new(over.header.next(), Body::default());
    tombstone.header.state = session_core::record::State::Moved(new.clone());
    tombstone
}

pub fn is_stored(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Stored(_))
}

/// The state that a refused write found.
pub fn found(outcome: WriteOutcome) -> Option<Record> {
    match outcome {
        WriteOutcome::Refused(refusal) => refusal.current.map(|record| *record),
        WriteOutcome::Stored(_) => panic!("it was stored"),
    }
}
