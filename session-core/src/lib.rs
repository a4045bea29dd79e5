//! Sessions for Rust web services: one interface, interchangeable engines.
//!
//! This crate has everything that all sessions have in common. An engine crate (`session-memory`,
//! `session-redis`, …) adds one storage system, an adapter (`session-tower`) adds one web
//! framework, and `session-kit` puts them behind features.
//!
//! | to | see |
//! |---|---|
//! | read and change a session in a handler | [`Session`] |
//! | configure timeouts, ids and cookies | [`Manager::builder`], [`transport`], [`ManagerConfig`] |
//! | load and store sessions without a web framework | [`Manager::load`], [`Manager::create`] |
//! | list and end the sessions of a user | [`accounts`] |
//! | react to what happens to sessions | [`events`] |
//! | write an engine | [`Provider`], [`engine`], [`record`], [`register_engine!`], the crate `session-conformance` |
//! | write an adapter | [`adapter`] |
//!
//! # Guarantees
//!
//! - **No update is lost.** Every write is conditional on the version that was read. When another
//!   request stored a newer record meanwhile, this request's changes are applied to it, key by key,
//!   and stored again.
//! - **A logout is final.** A request that still has a session that was destroyed, regenerated or
//!   has expired cannot restore it: its release fails with [`ErrorKind::Gone`] or
//!   [`ErrorKind::Expired`].
//! - **Few round trips.** A request that does not touch its session does no I/O. A visitor with no
//!   stored values gets no record and no cookie. An unchanged record is not rewritten.
//! - **Ids are not in the store.** The key of a record is the SHA-256 of the client's token.
//! - **An acknowledged write is applied exactly once**, even when an answer is lost and the write
//!   is resent.
//!
//! Everything runs on a tokio runtime.

pub mod adapter;
mod capabilities;
pub mod clock;
mod commit;
mod config;
pub mod entries;
mod error;
pub mod id;
mod live;
mod manager;
mod observe;
mod provider;
pub mod record;
mod registry;
mod rename;
mod secret;
mod session;
mod shared;
pub mod transport;

pub use capabilities::Capabilities;
pub use config::ManagerConfig;
pub use error::{Error, ErrorKind, Result};
pub use live::LoadState;
pub use manager::{GcTask, Manager, ManagerBuilder};
pub use provider::Provider;
pub use registry::{ConnectOptions, connect, engines};
pub use secret::Secret;
pub use session::{Session, Store};
pub use shared::Lifetime;

/// The sessions of a user: their owner, their devices, the handles to end them by, and limits.
///
/// The guide in the repository, `docs/guide/accounts.md`, has whole examples.
pub mod accounts {
    pub use crate::manager::{SessionInfo, Sessions};
    pub use crate::record::account::{Device, Handle};
    pub use crate::record::header::Owner;
    pub use crate::shared::Excess;
}

/// Types for engines, in addition to the [`Provider`] that they implement: conditional writes and
/// their outcomes, the index of owners, and the registry of names.
pub mod engine {
    pub use crate::capabilities::{Durability, OwnerIndex, TimeSource};
    pub use crate::provider::{
        Condition, Cursor, DestroyOutcome, Immediate, Indexed, Listed, Listener, Notice, Notify, Page,
        Refusal, Rename, Scan, Stored, TOMBSTONE_TTL, WriteOutcome, end_listed,
    };
    pub use crate::registry::{Connecting, Engine, register};
}

/// Events about sessions, reported after the fact: see
/// [`ManagerBuilder::on_event`](crate::ManagerBuilder::on_event).
pub mod events {
    pub use crate::shared::{EndedBy, Event, EventKind};
}

/// Messages that are shown once: see [`Session::flash`](crate::Session::flash).
pub mod flash {
    pub use crate::session::{Flash, Level};
}

/// Keys that carry the type of their value, checked at compile time.
pub mod key {
    pub use crate::session::{AnyKey, Key, ReadKey, WriteKey};
}

#[doc(hidden)]
pub mod __private {
    pub use inventory;
}
