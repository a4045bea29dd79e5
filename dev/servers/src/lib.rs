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
