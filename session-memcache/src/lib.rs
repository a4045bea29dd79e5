//! Sessions in memcached: a read that slides is one round trip, so is a conditional write, and several servers
//! share the sessions by hashing.
//!
//! By name, from a configuration file (`provider = "memcache"`, `providerConfig = "127.0.0.1:11211"`):
//!
//! ```no_run
//! use session_core::ConnectOptions;
//! use session_memcache as _; // registers the engine `memcache`
//!
//! # async fn connect() -> session_core::Result<()> {
//! let options = ConnectOptions::new("10.0.0.1:11211;10.0.0.2:11211");
//! let provider = session_core::connect("memcache", options).await?;
//! # drop(provider);
//! # Ok(())
//! # }
//! ```
//!
//! Or in code:
//!
//! ```
//! use session_memcache::{MemcacheConfig, MemcacheProvider};
//!
//! let config = MemcacheConfig::new(["10.0.0.1:11211", "10.0.0.2:11211"])?.prefix("shop:")?;
//! let provider = MemcacheProvider::new(&config);
//! # drop(provider);
//! # Ok::<(), session_core::Error>(())
//! ```
//!
//! # What is lost when
//!
//! memcached keeps everything in memory and nothing else: a server that restarts has no sessions, and one that is
//! full drops those that were not used for longest. Both read as "not found": the user signs in again. While a server
//! is down, its sessions are `Unavailable` and those of the others go on. Logouts stay: nothing that was removed
//! comes back. Sizing and operation are in `docs/memcache.md`.
//!
//! # Round trips
//!
//! Read 1, with slide. Create 1. Read-modify-write 2. Destroy 1 with the stamp of the record, else 2. Regenerate 2
//! after the read. A refused write takes one more, to tell what is stored instead.
//!
//! A session that gets an owner takes two more, for the index of the owner's sessions. A full server may evict that index;
//! a session that is used again puts itself back: a process that reads a session with an owner looks for its entry at
//! most once a minute, in one round trip that the request does not wait for.

mod address;
mod config;
mod connection;
mod owners;
mod provider;
mod routing;
mod server;
mod slot;
mod ttl;

pub use config::MemcacheConfig;
/// The client of the crate `memcache`, of the very version that this crate is built with.
pub use memcache::exp::AsyncMetaClient;
pub use provider::MemcacheProvider;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub(crate) const ENGINE: &str = "memcache";

session_core::register_engine!(["memcache"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: MemcacheConfig = options.config.expose().parse()?;
    Ok(Arc::new(MemcacheProvider::connect(&config).await?.clock(options.clock)))
}
