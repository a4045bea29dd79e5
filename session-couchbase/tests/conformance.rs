//! Runs the conformance suite: on a real Couchbase Server if Docker is available, otherwise on
//! CouchbaseMock.
#![allow(clippy::unwrap_used)] // the harness is test code too
#![recursion_limit = "256"] // the SDK's futures are nested deeply

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use couchbase::authenticator::PasswordAuthenticator;
use couchbase::cluster::Cluster;
use couchbase::options::cluster_options::ClusterOptions;
use couchbase::options::kv_options::UpsertOptions;
use session_conformance::{Harness, async_trait};
use session_core::id::StorageId;
use session_core::{ConnectOptions, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider};
use session_servers::compose::COUCHBASE;
use tokio::runtime::Runtime;

/// Two connections for all tests, on a runtime that outlives them: a login is slow in debug builds.
static CONNECTED: LazyLock<Connected> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (first, second, cluster) = runtime.block_on(async {
        let address = COUCHBASE.address();
        let first = session_core::connect("couchbase", ConnectOptions::new(&address)).await.unwrap();
        // The application's own cluster, behind the same address.
        let host = address.rsplit('@').next().and_then(|place| place.split('/').next()).unwrap();
        let host = host.strip_suffix(":8091").unwrap_or(host);
        let options = ClusterOptions::new(PasswordAuthenticator::new("session", "session").into());
        let cluster = Box::pin(Cluster::connect(format!("couchbase://{host}"), options)).await.unwrap();
        let config: CouchbaseConfig = address.parse().unwrap();
        let collection = cluster.bucket("session").default_collection();
        (first, CouchbaseProvider::with_collection(collection, &config), cluster)
    });
    Connected { providers: [first, Arc::new(second)], cluster, _runtime: runtime }
});

struct Connected {
    providers: [Arc<dyn Provider>; 2],
    cluster: Cluster,
    _runtime: Runtime,
}

struct Couchbase;

impl Couchbase {
    async fn connected() -> &'static Connected {
        // The first test connects, which must not happen on its own runtime's threads.
        tokio::task::spawn_blocking(|| &*CONNECTED).await.unwrap()
    }
}

#[async_trait]
impl Harness for Couchbase {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&Self::connected().await.providers[0])
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::clone(&Self::connected().await.providers[1])
    }

    fn isolated(&self) -> bool {
        false
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let collection = Self::connected().await.cluster.bucket("session").default_collection();
        let key = format!("session:{}", id.to_text());
        // Unlike a call of the engine, this one has no deadline.
        for _ in 0..3 {
            let options = UpsertOptions::new().expiry(Duration::from_secs(120));
            let put = Box::pin(collection.upsert_raw(&key, &bytes, 0, options));
            if let Ok(put) = tokio::time::timeout(Duration::from_secs(10), put).await {
                put.unwrap();
                return true;
            }
        }
        panic!("no answer to three raw writes");
    }
}

session_conformance::suite!(
    #[ignore = "needs a server: cargo xtask test"]
    Couchbase
);
session_conformance::histories!(
    #[ignore = "needs a server: cargo xtask test"]
    Couchbase
);
