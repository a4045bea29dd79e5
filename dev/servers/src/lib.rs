//! Real servers for tests, started as child processes.
//!
//! A test that kills, hangs or restarts a server starts a private one: it has its own directory and
//! port, and ends when its handle is dropped or the test run is killed. All calls block until they
//! are done (a start takes up to a few seconds).
//!
//! ```no_run
//! use session_servers::postgres::Postgres;
//!
//! # fn main() -> std::io::Result<()> {
//! let server = Postgres::start()?;
//! println!("connect to {}", server.url());
//! server.process().pause()?; // hangs: connections stay open, nothing is answered
//! server.process().resume()?;
//! server.process().kill()?; // as kill -9 does
//! server.process().restart()?; // same directory, same port
//! # Ok(())
//! # }
//! ```
//!
//! A new server is a new module: a [`process::Launch`] defines how it is started and when it is
//! ready, and a [`packages::Package`] the source of its binary.

pub mod chromium;
pub mod compose;
pub mod couchbase;
mod dir;
pub mod mariadb;
pub mod memcached;
pub mod mysql;
pub mod packages;
pub mod pgbouncer;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
mod signals;
mod spawn;
pub mod wheels;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The name of a test's own table or schema, at most 56 characters: the end of the test's name, and
/// a hash of all of it, because two modules may have tests of one name.
#[must_use]
pub fn name_of_test(prefix: &str) -> String {
    let test = std::thread::current().name().unwrap_or_default().replace("::", "_");
    let mut hasher = DefaultHasher::new();
    test.hash(&mut hasher);
    let tail = &test[test.len().saturating_sub(40)..];
    format!("{prefix}_{tail}_{:08x}", hasher.finish() & u64::from(u32::MAX))
}
