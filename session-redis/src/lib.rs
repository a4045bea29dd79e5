//! Sessions in Redis or Valkey: one server, a cluster, or a master that sentinels watch.
#![doc = ""]
mod config;
mod connection;
mod error;
mod link;
mod provider;
mod route;
mod script;
mod server;
mod tls;

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "sentinel")]
mod sentinel;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::{RedisConfig, Tls, Topology};
pub use provider::RedisProvider;

session_core::register_engine!(["redis"], standalone);
session_core::register_engine!(["redis_cluster"], cluster_of);
session_core::register_engine!(["redis_sentinel"], watched);

async fn standalone(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Standalone, options).await
}

async fn cluster_of(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Cluster, options).await
}

async fn watched(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Sentinel, options).await
}

async fn connect(topology: Topology, options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let provider = RedisConfig::parse(topology, options.config.expose())?.connect().await?;
    Ok(Arc::new(provider.with_clock(options.clock)))
}
