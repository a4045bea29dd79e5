//! What every engine must show, shown by this one: on one server, and on three.
#![allow(clippy::unwrap_used)] // the harness is test code too

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_core::{Provider, StorageId};
use session_memcache::{AsyncMetaClient, MemcacheProvider};
use session_servers::compose::{MEMCACHE, MEMCACHE_THREE, Service};

struct Memcached(Service);

impl Memcached {
    async fn connect(&self) -> MemcacheProvider {
        MemcacheProvider::connect(&self.0.address().parse().unwrap()).await.unwrap()
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

mod three_servers {
    use super::{MEMCACHE_THREE, Memcached};

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        Memcached(MEMCACHE_THREE)
    );
}
