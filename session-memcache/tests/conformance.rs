//! What every engine must show, shown by this one: on one server, and on three.
#![allow(clippy::unwrap_used)] // the harness is test code too

use std::net::ToSocketAddrs as _;
use std::sync::Arc;

use session_conformance::{CutOff, Harness, async_trait};
use session_core::Provider;
use session_core::id::StorageId;
use session_memcache::{AsyncMetaClient, MemcacheConfig, MemcacheProvider};
use session_servers::compose::{MEMCACHE, MEMCACHE_THREE, Service};
use session_servers::proxy::Proxy;

struct Memcached(Service);

impl Memcached {
    async fn connect(&self) -> MemcacheProvider {
        MemcacheProvider::connect(&self.config()).await.unwrap()
    }

    fn config(&self) -> MemcacheConfig {
        self.0.address().parse().unwrap()
    }
}

#[async_trait]
impl Harness for Memcached {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.connect().await)
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(self.connect().await)
    }

    fn isolated(&self) -> bool {
        false
    }

    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        let config = self.config().prefix("neighbour:").unwrap();
        Some(Arc::new(MemcacheProvider::connect(&config).await.unwrap()))
    }

    /// Through a proxy in front of the first server.
    async fn cut_off(&self) -> Option<CutOff> {
        let address = self.0.address();
        let (first, rest) = address.split_once(';').unwrap_or((&address, ""));
        if !rest.is_empty() {
            return None;
        }
        let proxy = Proxy::start(first.to_socket_addrs().unwrap().next().unwrap()).unwrap();
        let config = MemcacheConfig::new([proxy.address().to_string()]).unwrap();
        let provider = MemcacheProvider::connect(&config).await.unwrap();
        Some(CutOff::new(Arc::new(provider), move || proxy.lose_answers(1, b"")))
    }

    /// On every server, whichever of them it is that is asked.
    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        for server in self.0.address().split(';') {
            let client = AsyncMetaClient::connect(server).await.unwrap();
            let set = client.set(format!("session:{}", id.to_text()), &bytes).ttl_raw(120);
            assert!(set.send().await.unwrap().applied());
        }
        true
    }
}

session_conformance::suite!(
    #[ignore = "needs a server: cargo xtask test"]
    Memcached(MEMCACHE)
);
session_conformance::histories!(
    #[ignore = "needs a server: cargo xtask test"]
    Memcached(MEMCACHE)
);

mod three_servers {
    use super::{MEMCACHE_THREE, Memcached};

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        Memcached(MEMCACHE_THREE)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        Memcached(MEMCACHE_THREE)
    );
}
