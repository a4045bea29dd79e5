//! Sessions in SQLite: one file that survives the process and may be shared by several processes.
//!
//! ```no_run
//! use session_sqlite::{SqliteConfig, SqliteProvider, Synchronous};
//!
//! # async fn example() -> session_core::Result<()> {
//! let sessions = SqliteProvider::connect(SqliteConfig::file("./sessions.db")).await?;
//! let durable = SqliteConfig::file("/var/lib/app/sessions.db").synchronous(Synchronous::Full);
//! let durable = SqliteProvider::connect(durable).await?;
//! # let _ = (sessions, durable);
//! # Ok(())
//! # }
//! ```
//!
//! By name, as `sqlite`, with the file or a URL as the config string:
//!
//! ```
//! use session_core::{ConnectOptions, Provider as _};
//! use session_sqlite as _;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> session_core::Result<()> {
//! let provider = session_core::connect("sqlite", ConnectOptions::new("sqlite::memory:")).await?;
//! assert_eq!(provider.count().await?, Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! An application that already uses SQLite can pass its own pool: [`SqliteProvider::with_pool`].
//!
//! # Guarantees
//!
//! - The file is in WAL mode: readers and the writer never wait for each other. It is created with
//!   mode 0600, and so are SQLite's additional files `-wal` and `-shm`.
//! - Every change is one statement: a dropped future or a killed process leaves all of it or
//!   nothing. Changes that wait for each other are stored in one transaction (a group commit), and
//!   none is acknowledged before its commit.
//! - Sessions survive a crash of the process. A power loss may undo the last writes and logouts
//!   unless [`Synchronous::Full`] is set. Neither damages the file.
//! - **Local file systems only**: SQLite's locks and shared memory do not work over a network.
//!
//! # Performance
//!
//! SQLite's calls block, so the driver makes them on its own threads: one for the writing
//! connection, one for each reading one. An operation is one message to such a thread and one back;
//! statements are prepared once per connection, and nothing is sent between uses. Writes that find
//! the writer busy are stored together, up to 64 in one transaction: with [`Synchronous::Full`] they
//! share one wait for the disk. After a conflict a write needs a second round trip, which reads the
//! current record. `count` reads an index; `gc` removes 50 rows per statement, with a pause of 5 ms
//! in between, and shrinks the file if more than a quarter of it is empty.

mod collect;
mod config;
mod connections;
mod failure;
mod group;
mod open;
mod owners;
#[cfg(test)]
mod plans;
mod provider;
mod schema;
mod statements;
mod stored;
mod writes;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::{SqliteConfig, Synchronous};
pub use provider::SqliteProvider;
pub use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// The name under which the engine is registered.
pub const ENGINE: &str = "sqlite";

session_core::register_engine!(["sqlite"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: SqliteConfig = options.config.expose().parse()?;
    Ok(Arc::new(SqliteProvider::connect(config).await?.clock(options.clock)))
}
