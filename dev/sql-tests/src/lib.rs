//! The tests that the engines of SQL servers share: each is written once and runs on every server.
//!
//! An engine implements [`Engine`] in its `tests/support`, and one line in a file of its tests runs
//! a group: `session_sql_tests::faults!(Postgres);`. Each test of the group is a function there,
//! with its own name, and ignored without a server.
//!
//! Deadlocks, migrations and whatever else differs between servers is tested by the engine alone.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // all of it is test code

mod certificates;
mod engine;
mod list;
pub mod records;
mod server;
mod shortcuts;
mod table;

pub mod faults;
pub mod owners;
pub mod pool;
pub mod round_trips;
pub mod rows;

pub use certificates::certificates;
pub use engine::{Dialect, Engine, Limits, Mistake};
pub use server::{Server, behind_proxy};
pub use table::{Table, ask, sql, with};

#[doc(hidden)]
pub use {session_core, session_sql, sqlx};
