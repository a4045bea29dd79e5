//! Real servers for tests, started as child processes.
//!
//! A test that wants to kill, hang or restart a server starts a private one: it gets a directory and
//! a port of its own, and is gone when its handle is dropped or the test run is killed. Everything
//! blocks until it is done (a start takes up to a few seconds), so that a failure is a plain error.
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
//! A new server is a module of its own: say in a [`process::Launch`] how it is started and when it is
//! ready, and in a [`packages::Package`] where its binary comes from.

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
