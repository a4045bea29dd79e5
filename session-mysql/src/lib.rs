//! Sessions in MySQL and MariaDB: one row per session, in a table created by
//! [`MySqlProvider::migrate`] or `migrations/mysql/*.sql`.
//!
//! ```no_run
//! use session_mysql::{MySqlConfig, MySqlProvider};
//!
//! # async fn example() -> session_core::Result<()> {
//! let config: MySqlConfig = "web:secret@tcp(db.example:3306)/web?tls=true".parse()?;
//! let sessions = MySqlProvider::connect(config).await?;
//! sessions.migrate().await?; // once, with a user that may create tables
//! # Ok(())
//! # }
//! ```
//!
//! Linking the crate registers the engine under the name `mysql`:
//!
//! ```no_run
//! use session_mysql as _;
//!
//! # async fn example() -> session_core::Result<()> {
//! let options = session_core::ConnectOptions::new("mysql://web:secret@db.example/web");
//! let sessions = session_core::connect("mysql", options).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Performance
//!
//! Read, write, create, touch, rename and destroy are one statement and one round trip each, on
//! open connections that are not pinged between uses; statements are prepared once per connection.
//! After a conflict a write needs a second round trip, which reads the current record. A page of
//! the sessions of an owner is one round trip, and so is ending a batch of them. A touch writes
//! only the deadline. `count` reads the index on the deadline; `gc` removes 10 to 200 rows per
//! statement, with a pause of 5 ms in between.

mod config;
mod connect;
mod dsn;
mod failure;
mod owners;
#[cfg(test)]
mod plans;
mod provider;
mod schema;
mod statements;
mod stored;

use std::sync::Arc;

use session_core::{ConnectOptions, Provider, Result};

pub use config::MySqlConfig;
pub use provider::MySqlProvider;
pub use session_sql::{Credential, Credentials, Migrate, PoolStatus};
pub use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlSslMode};

session_core::register_engine!(["mysql", "mariadb"], connect);

async fn connect(options: ConnectOptions) -> Result<Arc<dyn Provider>> {
    let config: MySqlConfig = options.config.expose().parse()?;
    let provider = MySqlProvider::connect(config).await?.clock(options.clock);
    provider.check().await?;
    Ok(Arc::new(provider))
}
