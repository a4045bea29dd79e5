//! Sessions in memcached: a read that extends the idle deadline takes one round trip, and so does a
//! conditional write. Sessions are distributed over several servers by hashing.
//!
//! By name, from a configuration file (`provider = "memcache"`,
//! `providerConfig = "127.0.0.1:11211"`):
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
//! # Durability
//!
//! memcached keeps everything only in memory: a restart loses all sessions of a server, and a full
//! server evicts the least recently used ones. Both read as "not found", and the user signs in
//! again. While a server is down, its sessions are `Unavailable`; other servers' sessions are not
//! affected. A logout is final. For sizing and operation see `docs/memcache.md`.
//!
//! # Round trips
//!
//! Read 1, including the extension. Create 1. Read-modify-write 2. Destroy 1 with the stamp of the
//! record, else 2. Regenerate 2 after the read. A conflicting write takes one more, to read the
//! current record.
//!
//! A session that gets an owner takes two more, for the index of the owner's sessions. A full
//! server may evict that index; a session that is used again re-enters it: a process that reads a
//! session with an owner checks its entry at most once a minute, in one background round trip.

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
/// The client of the crate `memcache`, in the version that this crate uses.
pub use memcache::exp::AsyncMetaClient;
pub use provider::MemcacheProvider;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub(crate) const ENGINE: &str = "memcache";

session_core::register_engine!(["memcache", "memcached"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: MemcacheConfig = options.config.expose().parse()?;
    Ok(Arc::new(MemcacheProvider::connect(&config).await?.clock(options.clock)))
}
