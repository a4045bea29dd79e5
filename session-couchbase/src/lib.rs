//! Sessions in Couchbase, through its official SDK.
//!
//! By name, from a configuration file (`provider = "couchbase"`):
//!
//! ```no_run
//! use session_core::ConnectOptions;
//! use session_couchbase as _; // registers the engine `couchbase`
//!
//! # async fn connect() -> session_core::Result<()> {
//! let options = ConnectOptions::new("http://bucketname:bucketpass@myserver:8091");
//! let provider = session_core::connect("couchbase", options).await?;
//! # drop(provider);
//! # Ok(())
//! # }
//! ```
//!
//! Or in code:
//!
//! ```no_run
//! use session_couchbase::{CouchbaseConfig, CouchbaseProvider, Durability};
//!
//! # async fn connect() -> session_core::Result<()> {
//! let config = CouchbaseConfig::new("couchbases://db1,db2,db3", "app", "secret", "sessions")?
//!     .durability(Durability::Majority);
//! let provider = CouchbaseProvider::connect(config).await?;
//! # drop(provider);
//! # Ok(())
//! # }
//! ```
//!
//! # Durability
//!
//! An acknowledged write is in the memory of one node unless [`Durability`] asks for more: a
//! failover before replication undoes the last writes, including a logout. [`Durability::Majority`]
//! prevents this.
//!
//! # Round trips
//!
//! Read 1. Create 1. Read-modify-write 2. Destroy 1 with the stamp of the record, else 2.
//! Regenerate 2 after the read. The idle deadline is extended by a separate write (1), at most once
//! per `touch_after` of the manager: on a Couchbase server every touch changes the compare token,
//! so extending it on each read would conflict with writers. A conflicting write takes one more.

mod config;
mod connect;
mod document;
mod errors;
mod link;
mod owners;
mod provider;

pub use config::{CouchbaseConfig, Durability};
pub use provider::CouchbaseProvider;

/// The SDK's handle of a collection, in the version that this crate uses.
pub use couchbase::collection::Collection;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub(crate) const ENGINE: &str = "couchbase";

session_core::register_engine!(["couchbase"], connect_by_name);

async fn connect_by_name(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: CouchbaseConfig = options.config.expose().parse()?;
    Ok(Arc::new(CouchbaseProvider::connect(config).await?.clock(options.clock)))
}
