//! Sessions in SQLite: one file that outlives the process and that several processes may share.
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
//! An application that uses SQLite already hands in its own pool: [`SqliteProvider::with_pool`].
//!
//! # What it guarantees
//!
//! - The file is in WAL mode: readers never wait for the writer, nor the writer for readers. It is
//!   created with mode 0600, and so are the files `-wal` and `-shm` that SQLite keeps beside it.
//! - Every change is one statement: a future that is dropped, or a process that is killed, leaves
//!   all of it or nothing.
//! - Sessions survive a crash of the process. After a loss of power the last writes and logouts may
//!   be undone, unless [`Synchronous::Full`] is set. Neither damages the file.
//! - **Local file systems only**: SQLite's locks and shared memory do not work over a network.
//!
//! # Performance
//!
//! SQLite's calls block, so that the driver makes them on threads of its own: one for the
//! connection that writes, one for each that reads. An operation is one way there and one way back;
//! statements are prepared once per connection, and nothing is sent between uses. A write that is
//! refused needs a second trip, which reads what is stored instead. `count` reads an index; `gc`
//! removes 50 rows per statement, with a pause of 5 ms in between, and gives room back to the file
//! system when more than a quarter of the file is empty.

mod collect;
mod config;
mod connections;
mod failure;
mod open;
mod owners;
#[cfg(test)]
mod plans;
mod provider;
mod schema;
mod statements;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::{SqliteConfig, Synchronous};
pub use provider::SqliteProvider;
pub use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// Under which name the engine is registered.
pub const ENGINE: &str = "sqlite";

session_core::register_engine!(["sqlite"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: SqliteConfig = options.config.expose().parse()?;
    Ok(Arc::new(SqliteProvider::connect(config).await?.clock(options.clock)))
}
