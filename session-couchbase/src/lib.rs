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
//! # What is lost when
//!
//! A write that was acknowledged is in the memory of one node unless [`Durability`] asks for more: a node that fails over
//! before it has replicated takes the last writes with it, and a logout among them is undone. With
//! [`Durability::Majority`] that does not happen.
//!
//! # Round trips
//!
//! Read 1. Create 1. Read-modify-write 2. Destroy 1 with the stamp of the record, else 2. Regenerate 2 after the read. The
//! idle deadline slides by a write of its own (1), not more often than the manager's `touch_after`: on a Couchbase server
//! every touch changes the compare token, and readers would get in the way of writers. A refused write takes one more.

mod config;
mod connect;
mod document;
mod errors;
mod link;
mod owners;
mod provider;

pub use config::{CouchbaseConfig, Durability};
pub use provider::CouchbaseProvider;

/// The SDK's handle of a collection, of the very version that this crate is built with.
pub use couchbase::collection::Collection;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub(crate) const ENGINE: &str = "couchbase";

session_core::register_engine!(["couchbase"], connect_by_name);

async fn connect_by_name(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: CouchbaseConfig = options.config.expose().parse()?;
    Ok(Arc::new(CouchbaseProvider::connect(config).await?.clock(options.clock)))
}
