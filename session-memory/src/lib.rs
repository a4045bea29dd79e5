//! Sessions in the process's memory.
//!
//! The fastest engine, for one process and for tests: a read is a lookup under one of many locks.
//! Sessions end with the process, and processes do not share sessions.
//!
//! ```
//! use session_memory::{Eviction, MemoryProvider};
//!
//! # fn main() -> session_core::Result<()> {
//! let unbounded = MemoryProvider::new();
//! let bounded = MemoryProvider::builder()
//!     .max_sessions(100_000)
//!     .eviction(Eviction::AnonymousFirst)
//!     .build()?;
//! # let _ = (unbounded, bounded);
//! # Ok(())
//! # }
//! ```
//!
//! By name, with the config string empty, `memory:` or
//! `memory:?max_sessions=100000&eviction=anonymous-first`:
//!
//! ```
//! use session_core::{ConnectOptions, Provider as _};
//! use session_memory as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> session_core::Result<()> {
//! let provider = session_core::connect("memory", ConnectOptions::new("memory:?max_sessions=1000")).await?;
//! assert_eq!(provider.count().await?, Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! # Cost
//!
//! - **Time.** Every operation takes one lock out of up to 4,096, for a lookup; a rename takes two.
//!   A read extends the deadline in place and changes no ordered structure. The cost of a
//!   collection depends on the number of sessions that have come due, and it holds a lock for a
//!   small batch at a time. Tables grow shard by shard, so that no request waits until a large one
//!   is copied.
//! - **Memory.** An empty store takes about 300 KiB. A session takes about 270 bytes plus its body;
//!   `cargo run --release -p session-memory --example bytes_per_session` measures both as the
//!   growth of a process's resident memory: 768 to 775 bytes, new or changed, for a user of 240
//!   bytes and a counter, which are 388 bytes encoded.
//! - **A full store** checks the heads of its shards, without a lock, before it refuses or evicts:
//!   a few microseconds.

mod config;
mod owners;
mod provider;
mod queue;
mod shard;
mod store;

use std::sync::Arc;

pub use config::{Builder, Eviction};
pub use provider::MemoryProvider;
use session_core::{ConnectOptions, Provider, Result};

/// The name under which the engine is registered.
pub const ENGINE: &str = "memory";

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Builder::parse(options.config.expose())?.clock(options.clock).build()?))
}

session_core::register_engine!(["memory"], connect);
