//! Sessions for Rust web services: one interface, and the engine of your choice behind it.
//!
//! A handler reads and changes its [`Session`] in memory; the changes are stored once, before the
//! head of the response is sent. Concurrent requests lose no update, and an ended session does not
//! come back. This crate re-exports the core and puts each engine and framework behind a feature;
//! none is on by default, and the others are not linked.
//!
//! ```toml
//! axum = "0.8"
//! session-kit = { version = "0.1", features = ["memory", "tower"] }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
#![cfg_attr(all(feature = "memory", feature = "tower"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "memory", feature = "tower")), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use session_kit::{Manager, memory::MemoryProvider};
//! use session_kit::tower::{Session, SessionError, SessionLayer};
//!
//! async fn visit(session: Session) -> Result<String, SessionError> {
//!     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let manager = Manager::builder(MemoryProvider::new()).build()?;
//!     let app = Router::new().route("/", get(visit)).layer(SessionLayer::new(manager));
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Which engine?
//!
//! | feature | module | choose it when |
//! |---|---|---|
//! | `sqlite` | `sqlite` | one machine, and sessions outlive the process: one file, with nothing to set up |
//! | `memory` | `memory` | one process; sessions may end with it |
//! | `file` | `file` | one machine; sessions outlive the process, several processes share them |
//! | `cookie` | `cookie` | no store at all, and a logout need not be final on the server |
//! | `mysql` | `mysql` | there is a MySQL or MariaDB already |
//! | `postgres` | `postgres` | there is a PostgreSQL already |
//! | `redis` | `redis` | many machines; the fastest of the servers (standalone, cluster or sentinel; Valkey too) |
//! | `memcache` | `memcache` | many machines, and a session may be lost when a server restarts |
//! | `couchbase` | `couchbase` | there is a Couchbase already |
//!
//! TLS, clusters and sentinels of Redis are features of their own: `redis-tls`, `redis-cluster` and `redis-sentinel`.
//! The table of the README and [`Capabilities`] say what each guarantees; [`guide::choosing_an_engine`] helps with the choice.
//!
//! # An engine by name
//!
//! An engine whose feature is on is found by its name, for a configuration that names it:
//!
#![cfg_attr(feature = "memory", doc = "```")]
#![cfg_attr(not(feature = "memory"), doc = "```ignore")]
//! # use session_kit::{ConnectOptions, Manager, Result};
//! # async fn open() -> Result<Manager> {
//! let provider = session_kit::connect("memory", ConnectOptions::new("")).await?;
//! let manager = Manager::builder_shared(provider).build()?;
//! # Ok(manager) }
//! ```
//!
//! A name that is not there is a [`Config`](ErrorKind::Config) error that says which feature is missing.
//!
//! # Frameworks
//!
//! | feature | module | for |
//! |---|---|---|
//! | `tower` | `tower` | axum 0.8, and every `tower` service over `http` types |
//! | `actix` | `actix` | actix-web 4 |
//! | `poem` | `poem` | poem 3 |
//!
//! # Guides
//!
//! | to | read |
//! |---|---|
//! | sign users in and out | [`guide::sign_in`], [`guide::remember_me`] |
//! | list and end a user's sessions | [`guide::accounts`] |
//! | know what merges and what does not | [`guide::concurrency`] |
//! | order layers, and answer errors | [`guide::axum`], [`guide::actix`], [`guide::poem`] |
//! | show a message on the next page | [`guide::flash`] |
//! | keep forms of other sites out | [`guide::csrf`] |
//! | test an application | [`guide::testing`] |
//! | renew ids, and change the types of values | [`guide::renewal`], [`guide::changing_types`] |
//! | run it in production | [`guide::operations`] |
//! | move from another library | [`guide::moving_from_tower_sessions`], [`guide::moving_from_actix_session`], [`guide::moving_from_axum_session`], [`guide::moving_from_beego`] |
//! | write an engine | [`guide::own_engine`] |
//!
//! # Without a framework
//!
//! [`Manager::start`] and [`Manager::load`] do what an adapter does; `examples/worker.rs` shows it.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use session_core::*;

#[cfg(feature = "actix")]
pub use session_actix as actix;
#[cfg(feature = "cache")]
pub use session_cache as cache;
#[cfg(feature = "cookie")]
pub use session_cookie as cookie;
#[cfg(feature = "couchbase")]
pub use session_couchbase as couchbase;
#[cfg(feature = "file")]
pub use session_file as file;
#[cfg(feature = "memcache")]
pub use session_memcache as memcache;
#[cfg(feature = "memory")]
pub use session_memory as memory;
#[cfg(feature = "mysql")]
pub use session_mysql as mysql;
#[cfg(feature = "poem")]
pub use session_poem as poem;
#[cfg(feature = "postgres")]
pub use session_postgres as postgres;
#[cfg(feature = "redis")]
pub use session_redis as redis;
#[cfg(feature = "sqlite")]
pub use session_sqlite as sqlite;
#[cfg(feature = "tower")]
pub use session_tower as tower;

pub mod guide;
#[cfg(feature = "test")]
pub mod test;

/// The example of the README, compiled.
#[cfg(all(doctest, feature = "memory", feature = "tower"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The page about caching reads, compiled.
#[cfg(all(doctest, feature = "cache"))]
#[doc = include_str!("../../session-cache/README.md")]
struct Cache;
