//! Sessions in the process's own memory.
//!
//! For one process, for tests, and as the fastest engine there is: a read is a lookup under one lock of many.
//! Sessions end with the process; several processes share nothing.
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
//! By name, with the config string empty, `memory:` or `memory:?max_sessions=100000&eviction=anonymous-first`:
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
//! # What it costs
//!
//! - **Time.** Every operation takes one lock out of up to 4,096, for a lookup; a rename takes two. A read moves the
//!   deadline in place and touches no ordered structure. Collecting costs what has come due, and holds a lock for a
//!   small batch at a time. Tables grow shard by shard, so that no request waits for a large one to be copied.
//! - **Memory.** An empty store takes about 300 KiB. A session takes about 270 bytes and its body, as the core holds it;
//!   `cargo run --release -p session-memory --example bytes_per_session` measures both together as the growth of a
//!   process's resident memory: 768 to 775 bytes, new or changed, for a user of 240 bytes and a counter, 388 bytes encoded.
//! - **A full store** looks at the heads of its shards, without a lock, before it refuses or evicts: some microseconds.

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

/// Under which name the engine is registered.
pub const ENGINE: &str = "memory";

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    Ok(Arc::new(Builder::parse(options.config.expose())?.clock(options.clock).build()?))
}

session_core::register_engine!(["memory"], connect);
