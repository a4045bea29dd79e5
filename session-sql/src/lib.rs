//! Code shared by `session-mysql`, `session-postgres` and `session-sqlite`. Applications use those
//! crates, not this one.
//!
//! - [`Pool`]: connections kept ready by `deadpool`, without the ping that `sqlx::Pool` sends after
//!   every use, which doubles the round trips of a session store. An application's own `sqlx::Pool`
//!   works as well, with its pings.
//! - [`Connect`]: opens a connection, with the session settings of the engine and the user's
//!   [`Credentials`].
//! - [`Client`]: runs one statement and reports its outcome, using the engine's [`Driver`].
//! - [`Collector`]: removes expired rows in small batches.
//! - [`page()`] and [`begin()`]: a list of rows in the order of their keys, page by page.
//! - [`steps_of()`] and [`Patience`]: the steps of a migration, and their repetition.
//! - [`step()`]: the rounding of a row's collection time, so that writes seldom change it.
//! - [`Target`], [`Settings`], [`TableName`]: config strings, parsed without ever repeating a
//!   password.
//!
//! Everything for connections to a server is behind the feature `server`.
//!
//! SQL stays in the engines: the dialects share hardly a statement.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "server")]
mod client;
#[cfg(feature = "server")]
mod collect;
#[cfg(feature = "server")]
mod connect;
#[cfg(feature = "server")]
mod failure;
mod key;
mod migration;
mod page;
#[cfg(feature = "server")]
mod patience;
#[cfg(feature = "server")]
mod pool;
mod settings;
mod step;
mod table;
mod target;

#[cfg(feature = "server")]
pub use client::{Client, Driver, Effect, Executed};
#[cfg(feature = "server")]
pub use collect::{Collector, MOST};
#[cfg(feature = "server")]
pub use connect::{Connect, Credential, Credentials, unfit};
#[cfg(feature = "server")]
pub use failure::{Failure, cause};
pub use key::key;
pub use migration::{statements_of, steps_of};
pub use page::{MOVES, begin, contended, page};
#[cfg(feature = "server")]
pub use patience::Patience;
#[cfg(feature = "server")]
pub use pool::{Lease, Pool, PoolStatus};
pub use settings::{Migrate, Settings, duration, file, number};
pub use step::{LONGEST_STEP, step};
pub use table::TableName;
pub use target::{Place, Target, is_host, percent_decode};
