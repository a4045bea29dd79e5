//! Shared by the tests of the bus: engines with notices on real servers, and a bus that can be cut
//! separately.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // each test binary uses a part of it

pub mod hand;

use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_cache::{Bus, Cached, Settings};
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, SystemClock};
use session_core::engine::{
    Condition, DestroyOutcome, Indexed, Listener, Notify, Rename, Scan, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Body, Header, Record, Stamp, Value, Version};
use session_core::{Capabilities, Provider, Result};
use session_postgres::PostgresProvider;
use session_redis::{RedisConfig, RedisProvider};
use session_servers::compose::{self, Service};
use session_servers::proxy::Proxy;
use tokio::time::{Instant, sleep};

pub use self::hand::Hand;

/// How long a test waits for something to happen.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// An engine with notices.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Postgres,
    Redis(Service),
}

/// A table or prefix on a server for one test.
#[derive(Debug, Clone)]
pub struct Location {
    address: String,
    name: String,
}

impl Engine {
    pub fn location(self) -> Location {
        Location::at(match self {
            Self::Postgres => compose::POSTGRES.address(),
            Self::Redis(service) => service.address(),
        })
    }
}

impl Location {
    /// On the server of that URL.
    pub fn at(address: String) -> Self {
        Self { address, name: format!("bus_{:x}", Version::random().0) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Of its table, or of its keys.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A provider with its own connections, like another process's.
    pub async fn connect(&self) -> Arc<dyn Provider> {
        self.connect_to(&self.address).await
    }

    async fn connect_to(&self, url: &str) -> Arc<dyn Provider> {
        if url.starts_with("postgres:") {
            let url = format!("{url}?table={}&migrate=true&notices=true", self.name);
            return Arc::new(PostgresProvider::connect(url.parse().unwrap()).await.unwrap());
        }
        Arc::new(redis(&format!("{url}?prefix={}:&notices=on", self.name)).await.unwrap())
    }

    /// A provider that receives its notices, and only these, through a proxy.
    pub async fn connect_apart(&self) -> (Arc<Apart>, Proxy) {
        let url = &self.address;
        let (_, host) = url.split_once('@').unwrap();
        let host = host.split('/').next().unwrap();
        let proxy = Proxy::start(host.to_socket_addrs().unwrap().next().unwrap()).unwrap();
        let bus = self.connect_to(&url.replace(host, &proxy.address().to_string())).await;
        (Arc::new(Apart::new(self.connect().await, Source::Engine(bus))), proxy)
    }
}

pub const IDLE: Duration = Duration::from_secs(1_800);
/// Longer than a test waits for a change: a change that is seen earlier was announced by the bus.
pub const MAX_STALE: Duration = Duration::from_secs(60);
/// Longer than the usual delay of a notice.
pub const A_WHILE: Duration = Duration::from_millis(200);

pub fn id() -> StorageId {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&Version::random().0.to_be_bytes());
    }
    StorageId::from_hash(bytes)
}

/// Stores a session with an owner.
pub async fn stored(engine: &dyn Provider) -> (StorageId, Record) {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("n", Value::encode(&1_u64).unwrap());
    let mut record = Record::new(Header::new(now, now.after(IDLE * 24), now.after(IDLE)), body);
    record.header.owner = Some(Owner(id().as_bytes().try_into().unwrap()));
    let id = id();
    assert!(is_stored(&engine.write(&id, &record, Condition::Absent, IDLE).await.unwrap()));
    (id, record)
}

/// Stores the next version of a record.
pub async fn change(engine: &dyn Provider, id: &StorageId, record: &Record) -> Record {
    let next = next(record);
    let outcome = engine.write(id, &next, Condition::Over(record.stamp()), IDLE).await.unwrap();
    assert!(is_stored(&outcome), "{outcome:?}");
    next
}

pub fn is_stored(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Stored(_))
}

pub fn next(record: &Record) -> Record {
    Record::new(record.header.next(), record.body.clone())
}

/// Reads until the session comes from memory, and for a while.
pub async fn keep(here: &Cached, engine: &Apart, id: &StorageId) {
    until("the session is kept", async || {
        assert!(here.read(id, IDLE).await.unwrap().is_some());
        let before = engine.reads();
        sleep(A_WHILE).await;
        here.read(id, IDLE).await.unwrap();
        engine.reads() == before
    })
    .await;
}

/// Waits until this process sees another version than that of a record, or none.
pub async fn seen(what: &str, here: &Cached, id: &StorageId, old: &Record) {
    until(what, async || {
        let read = here.read(id, IDLE).await.unwrap();
        read.is_none_or(|read| read.header.version() != old.header.version())
    })
    .await;
}

pub async fn redis(url: &str) -> Result<RedisProvider> {
    url.parse::<RedisConfig>().unwrap().connect().await
}

pub fn cached(engine: Arc<dyn Provider>, max_stale: Duration) -> Cached {
    Cached::over(engine, Settings::new().max_stale(max_stale)).unwrap()
}

pub async fn until_bus(cached: &Cached, state: Bus) {
    let end = Instant::now() + PATIENCE;
    while cached.bus() != state {
        assert!(Instant::now() < end, "in vain: the bus is {state:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "in vain: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The source of notices.
#[derive(Debug)]
pub enum Source {
    /// An engine, possibly over other connections than those of the reads.
    Engine(Arc<dyn Provider>),
    /// The test.
    Hand(Hand),
}

/// An engine that counts its reads and has a separate source of notices.
#[derive(Debug)]
pub struct Apart {
    engine: Arc<dyn Provider>,
    bus: Source,
    reads: AtomicUsize,
}

impl Apart {
    pub fn new(engine: Arc<dyn Provider>, bus: Source) -> Self {
        Self { engine, bus, reads: AtomicUsize::new(0) }
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Notify for Apart {
    async fn listen(&self) -> Result<Box<dyn Listener>> {
        match &self.bus {
            Source::Engine(engine) => engine.as_notify().unwrap().listen().await,
            Source::Hand(hand) => hand.listen(),
        }
    }
}

#[async_trait]
impl Provider for Apart {
    fn engine(&self) -> &'static str {
        self.engine.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.engine.read(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        over: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.engine.write(id, record, over, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.engine.touch(id, seen, ttl).await
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        self.engine.rename(rename).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.engine.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.engine.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.engine.count().await
    }

    async fn due(&self) -> Result<Option<u64>> {
        self.engine.due().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.engine.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.engine.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.engine.as_scan()
    }

    fn as_notify(&self) -> Option<&dyn Notify> {
        Some(self)
    }
}
