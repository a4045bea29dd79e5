//! The conformance tests on a single server (Redis, its oldest supported version, one that compares
//! digests, Valkey), over a pool, on a cluster, and on a master with sentinels.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use std::net::ToSocketAddrs as _;
use std::sync::Arc;

use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, RedisConnectionInfo, cmd};
use session_conformance::{CutOff, Harness, async_trait};
use session_core::Provider;
use session_core::id::StorageId;
use session_core::record::Version;
use session_redis::RedisConfig;
use session_servers::compose::{self, Service};
use session_servers::proxy::Proxy;

/// A separate prefix for each test, on a shared set-up.
struct OwnPrefix {
    url: String,
    prefix: String,
}

impl OwnPrefix {
    fn new(service: Service) -> Self {
        Self { url: service.address(), prefix: format!("suite-{:x}:", Version::random().0) }
    }

    async fn connect(&self) -> Arc<dyn Provider> {
        let config: RedisConfig = self.url.parse().unwrap();
        Arc::new(config.prefix(&self.prefix).connect().await.unwrap())
    }

    /// The URLs of the individual nodes, in the driver's format.
    fn nodes(&self) -> Vec<String> {
        let (_, rest) = self.url.split_once("://").unwrap();
        let (login, hosts) = rest.split_once('@').unwrap();
        let hosts = hosts.split('/').next().unwrap().split(',');
        hosts.map(|host| format!("redis://{login}@{host}")).collect()
    }
}

#[async_trait]
impl Harness for OwnPrefix {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.connect().await
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.connect().await
    }

    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        let config: RedisConfig = self.url.parse().unwrap();
        Some(Arc::new(config.prefix(format!("{}neighbour:", self.prefix)).connect().await.unwrap()))
    }

    /// Connects through a proxy in front of the server, if there is a single server.
    async fn cut_off(&self) -> Option<CutOff> {
        let (_, host) = self.url.strip_prefix("redis://")?.split_once('@')?;
        let proxy = Proxy::start(host.to_socket_addrs().unwrap().next().unwrap()).unwrap();
        let url = self.url.replace(host, &proxy.address().to_string());
        let config: RedisConfig = url.parse().unwrap();
        let provider = config.prefix(&self.prefix).connect().await.unwrap();
        Some(CutOff::new(Arc::new(provider), move || proxy.lose_answers(1, b"")))
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let mut set = cmd("SET");
        set.arg(format!("{}{}", self.prefix, id.to_text())).arg(bytes).arg("EX").arg(3_600);
        match self.url.split(':').next() {
            Some("redis") => {
                let client = Client::open(self.url.as_str()).unwrap();
                let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                set.exec_async(&mut connection).await.unwrap();
            }
            Some("redis+cluster") => {
                let client = ClusterClient::new(self.nodes()).unwrap();
                set.exec_async(&mut client.get_async_connection().await.unwrap()).await.unwrap();
            }
            _ => {
                // The sentinels have no password; the URL contains the server's.
                let hosts = self
                    .nodes()
                    .iter()
                    .map(|node| format!("redis://{}", node.split_once('@').unwrap().1))
                    .collect();
                let login = RedisConnectionInfo::default().set_password("session");
                let login = SentinelNodeConnectionInfo::default().set_redis_connection_info(login);
                let master = SentinelServerType::Master;
                let mut client = SentinelClient::build(hosts, "mymaster", Some(login), master).unwrap();
                set.exec_async(&mut client.get_async_connection().await.unwrap()).await.unwrap();
            }
        }
        true
    }
}

mod standalone {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS)
    );
}

mod redis_6_2 {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_6_2)
    );
}

mod redis_8_6 {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_8_6)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_8_6)
    );
}

mod cluster {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_CLUSTER)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_CLUSTER)
    );
}

mod sentinel {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_SENTINEL)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::REDIS_SENTINEL)
    );
}

mod deadpool {
    use deadpool_redis::{Config, Runtime};
    use session_redis::RedisProvider;

    use super::*;

    /// The same over the application's pool.
    struct Pooled(OwnPrefix);

    impl Pooled {
        fn connect(&self) -> Arc<dyn Provider> {
            let pool = Config::from_url(&self.0.url).builder().unwrap().runtime(Runtime::Tokio1);
            Arc::new(RedisProvider::from_pool(pool.build().unwrap()).with_prefix(&self.0.prefix))
        }
    }

    #[async_trait]
    impl Harness for Pooled {
        async fn provider(&self) -> Arc<dyn Provider> {
            self.connect()
        }

        async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
            self.connect()
        }

        async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
            self.0.put_raw(id, bytes).await
        }
    }

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        Pooled(OwnPrefix::new(compose::REDIS))
    );
}

mod valkey {
    use super::*;

    session_conformance::suite!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::VALKEY)
    );
    session_conformance::histories!(
        #[ignore = "needs a server: cargo xtask test"]
        OwnPrefix::new(compose::VALKEY)
    );
}
