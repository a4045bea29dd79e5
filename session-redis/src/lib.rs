//! Sessions in Redis 6.2 or later, or Valkey: one server, a cluster, or a master with sentinels.
//!
//! A read slides the idle deadline in the same round trip (`GETEX`); a create, a conditional write
//! and a destroy take one each. The server compares and sets. All requests share one connection to
//! each server, or two while several requests wait; they are replaced when one breaks, and
//! when the server hangs. `docs/redis.md` explains what a failover may undo, which eviction policy
//! to choose, and which permissions are needed.
//!
//! ```no_run
//! use session_redis::RedisConfig;
//!
//! # async fn demo() -> session_core::Result<()> {
//! let config = RedisConfig::standalone("127.0.0.1:6379")?.password("secret").prefix("shop:");
//! let provider = config.connect().await?;
//!
//! // The same as a URL; a cluster and sentinels need the feature of that name.
//! let config: RedisConfig = "redis://:secret@127.0.0.1:6379?prefix=shop:".parse()?;
//! let config: RedisConfig = "redis+cluster://:secret@10.0.0.1,10.0.0.2".parse()?;
//! let config: RedisConfig = "redis+sentinel://:secret@10.0.0.1,10.0.0.2/mymaster".parse()?;
//! # Ok(())
//! # }
//! ```
//!
//! By name, with a Beego-compatible string or a URL, as `redis`, and with the features of a cluster
//! and of sentinels as `redis_cluster` and `redis_sentinel`:
//!
//! ```no_run
//! use session_core::ConnectOptions;
//! use session_redis as _;
//!
//! # async fn demo() -> session_core::Result<()> {
//! let provider = session_core::connect("redis", ConnectOptions::new("127.0.0.1:6379,100,secret,0,30")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! With a client or a connection of the application: [`RedisProvider::from_client`] and
//! [`RedisProvider::from_connection`]; with a `deadpool-redis` pool and the feature `deadpool`:
//! `RedisProvider::from_pool`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod compare;
mod config;
mod connection;
mod count;
mod dialer;
mod error;
mod hello;
mod large;
mod link;
mod notices;
mod owners;
mod provider;
mod read;
mod route;
mod scan;
mod script;
mod server;
mod tls;
mod write;

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "deadpool")]
mod pool;
#[cfg(feature = "sentinel")]
mod sentinel;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::{Count, RedisConfig, Tls, Topology};
pub use provider::RedisProvider;

session_core::register_engine!(["redis", "valkey"], standalone);
#[cfg(feature = "cluster")]
session_core::register_engine!(["redis_cluster"], cluster_of);
#[cfg(feature = "sentinel")]
session_core::register_engine!(["redis_sentinel"], watched);

async fn standalone(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Standalone, options).await
}

#[cfg(feature = "cluster")]
async fn cluster_of(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Cluster, options).await
}

#[cfg(feature = "sentinel")]
async fn watched(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    connect(Topology::Sentinel, options).await
}

async fn connect(topology: Topology, options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let provider = RedisConfig::parse(topology, options.config.expose())?.connect().await?;
    Ok(Arc::new(provider.with_clock(options.clock)))
}
