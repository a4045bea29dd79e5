//! What the tests of the bus share: engines on real servers that tell of changes, and a bus that can be cut by itself.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // each test binary uses a part of it

use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_cache::{Bus, Cached, Settings};
use session_core::engine::{
    Condition, DestroyOutcome, Indexed, Listener, Notify, Rename, Scan, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, Version};
use session_core::{Capabilities, Provider, Result};
use session_postgres::PostgresProvider;
use session_redis::{RedisConfig, RedisProvider};
use session_servers::compose::{self, Service};
use session_servers::proxy::Proxy;
use tokio::time::{Instant, sleep};

/// How long a test waits for a notice.
const PATIENCE: Duration = Duration::from_secs(45);

/// An engine that tells of changes.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Postgres,
    Redis(Service),
}

/// A place on a server for one test.
#[derive(Debug, Clone)]
pub struct Place {
    engine: Engine,
    name: String,
}

impl Engine {
    pub fn place(self) -> Place {
        Place { engine: self, name: format!("bus_{:x}", Version::random().0) }
    }
}

impl Place {
    fn address(&self) -> String {
        match self.engine {
            Engine::Postgres => compose::POSTGRES.address(),
            Engine::Redis(service) => service.address(),
        }
    }

    /// A handle with connections of its own, as another process has.
    pub async fn connect(&self) -> Arc<dyn Provider> {
        self.connect_to(&self.address()).await
    }

    async fn connect_to(&self, url: &str) -> Arc<dyn Provider> {
        match self.engine {
            Engine::Postgres => {
                let url = format!("{url}?table={}&migrate=true&notices=true", self.name);
                Arc::new(PostgresProvider::connect(url.parse().unwrap()).await.unwrap())
            }
            Engine::Redis(_) => {
                Arc::new(redis(&format!("{url}?prefix={}:&notices=on", self.name)).await.unwrap())
            }
        }
    }

    /// A handle whose notices come through a proxy, and nothing else.
    pub async fn connect_apart(&self) -> (Arc<Apart>, Proxy) {
        let url = self.address();
        let (_, place) = url.split_once('@').unwrap();
        let place = place.split('/').next().unwrap();
        let proxy = Proxy::start(place.to_socket_addrs().unwrap().next().unwrap()).unwrap();
        let bus = self.connect_to(&url.replace(place, &proxy.address().to_string())).await;
        let apart = Apart { engine: self.connect().await, bus, reads: AtomicUsize::new(0) };
        (Arc::new(apart), proxy)
    }
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

/// An engine that counts its reads, and whose notices take a way of their own.
#[derive(Debug)]
pub struct Apart {
    engine: Arc<dyn Provider>,
    bus: Arc<dyn Provider>,
    reads: AtomicUsize,
}

impl Apart {
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Notify for Apart {
    async fn listen(&self) -> Result<Box<dyn Listener>> {
        self.bus.as_notify().unwrap().listen().await
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
