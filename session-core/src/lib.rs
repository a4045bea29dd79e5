//! Sessions for Rust web services: one interface, interchangeable engines.
//!
//! This crate is what every session has in common. An engine crate (`session-memory`, `session-redis`, …) adds one
//! storage system, an adapter (`session-tower`) one web framework; `session-kit` puts them behind features.
//!
//! | you want to | look at |
//! |---|---|
//! | read and change a session in a handler | [`Session`] |
//! | configure timeouts, ids and cookies | [`Manager::builder`], [`Transport`], [`ManagerConfig`] |
//! | load and store sessions without a web framework | [`Manager::load`], [`Manager::create`] |
//! | write an engine | [`Provider`], [`register_engine!`], the crate `session-conformance` |
//! | write an adapter | [`adapter`], [`RequestSession`] |
//!
//! # What a session keeps
//!
//! - **No update is lost.** Every write is conditional on the version that was read; when another request was
//!   faster, this request's changes are applied to the newer record, key by key, and stored again.
//! - **A logout sticks.** A request that still holds a session that was destroyed, regenerated or has expired
//!   cannot bring it back: its release fails with [`ErrorKind::Gone`] or [`ErrorKind::Expired`].
//! - **Nothing is stored for nothing.** No I/O for a request that does not touch its session, no record and no cookie
//!   for a visitor about whom there is nothing to remember, no rewrite of what did not change.
//! - **Ids are not in the store.** A record lies under the SHA-256 of the client's token.
//! - **An acknowledged write is applied exactly once**, also when an answer is lost on the way and the write is sent again.
//!
//! All of it runs on a tokio runtime.

pub mod adapter;
mod capabilities;
mod clock;
mod commit;
mod config;
mod error;
mod id;
mod live;
mod manager;
mod observe;
mod provider;
mod record;
mod registry;
mod rename;
mod secret;
mod session;
mod shared;
mod transport;

pub use capabilities::{Capabilities, Durability, OwnerIndex, TimeSource};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use config::ManagerConfig;
pub use error::{Error, ErrorKind, Result};
pub use id::{HashFunction, IdGenerator, MIN_ID_BITS, RandomIds, StorageId, Token};
pub use live::LoadState;
pub use manager::{
    Finish, GcTask, Manager, ManagerBuilder, Reply, RequestSession, SessionInfo, Sessions, stores_changes,
};
pub use provider::{
    Condition, Cursor, DestroyOutcome, Indexed, Listed, Listener, Notice, Notify, Page, Provider, Refusal,
    Rename, Scan, Stored, TOMBSTONE_TTL, WriteOutcome, end_listed,
};
pub use record::int128;
pub use record::{
    Body, Device, HEADER_BYTES, Handle, Header, NEWEST_FORMAT, Owner, Record, Stamp, State, Value, Version,
};
pub use registry::{ConnectOptions, Connecting, Engine, connect, engines, register};
pub use secret::Secret;
pub use session::{AnyKey, Flash, Key, Level, ReadKey, Session, Store, WriteKey};
pub use shared::{EndedBy, Event, EventKind, Excess, Lifetime};
pub use transport::{
    Caching, Candidates, Connection, CookieContext, CookieSettings, Domains, Incoming, MAX_CANDIDATES,
    MAX_COOKIE_OCTETS, Priority, QUERY_MODE_HEADERS, SameSite, SecureMode, Source, TARGETED_CACHE_HEADERS,
    TokenHeaders, Transport, TrustedProxies, cookie_name_of_scope,
};

#[doc(hidden)]
pub mod __private {
    pub use inventory;
}
