//! Sessions in PostgreSQL: one row each, in a table that [`PostgresProvider::migrate`] or
//! `migrations/postgres/*.sql` creates.
//!
//! ```no_run
//! use session_postgres::{PostgresConfig, PostgresProvider};
//!
//! # async fn example() -> session_core::Result<()> {
//! let config: PostgresConfig = "postgres://web:secret@db.example/web?sslmode=verify-full".parse()?;
//! let sessions = PostgresProvider::connect(config).await?;
//! sessions.migrate().await?; // once, with a user that may create tables
//! # Ok(())
//! # }
//! ```
//!
//! Wherever the crate is linked, the engine is also available by name, as `postgresql` or
//! `postgres`:
//!
//! ```no_run
//! use session_postgres as _;
//!
//! # async fn example() -> session_core::Result<()> {
//! let options = session_core::ConnectOptions::new("host=/run/postgresql dbname=web");
//! let sessions = session_core::connect("postgresql", options).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Performance
//!
//! Read, write, create, touch, rename and destroy are one statement and one round trip each, on
//! connections that are kept open and not pinged between uses; the statements are prepared once per
//! connection. A refused write needs a second round trip, which reads the stored record. A page of
//! the sessions of an owner is one round trip, and so is ending some of them. With
//! [`notices`](PostgresConfig::notices), the same statements notify the caches of other processes.
//! A touch writes only the deadline. `count` reads the index on the deadline; `gc` removes 10 to
//! 200 rows per statement, with a pause of 5 ms in between.

mod config;
mod connect;
mod failure;
mod notices;
mod owners;
#[cfg(test)]
mod plans;
mod provider;
mod request;
mod schema;
mod statements;
mod stored;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::PostgresConfig;
pub use provider::PostgresProvider;
pub use session_sql::{Credential, Credentials, Migrate, PoolStatus};
pub use sqlx::postgres::{PgConnectOptions, PgPool, PgSslMode};

session_core::register_engine!(["postgresql", "postgres"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: PostgresConfig = options.config.expose().parse()?;
    let provider = PostgresProvider::connect(config).await?.clock(options.clock);
    provider.check().await?;
    Ok(Arc::new(provider))
}
