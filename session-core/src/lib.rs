//! Sessions for Rust web services: one interface, interchangeable engines.

mod capabilities;
mod clock;
mod commit;
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
mod transport;

pub use capabilities::{Capabilities, Durability, TimeSource};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::{Error, ErrorKind, Result};
pub use id::{HashFunction, IdGenerator, MIN_ID_BITS, RandomIds, StorageId, Token};
pub use live::{AnyKey, Key, ReadKey, Session, Store, WriteKey};
pub use manager::{GcTask, Manager, ManagerBuilder, Reply, RequestSession};
pub use provider::{
    Condition, DestroyOutcome, Provider, Refusal, Rename, Stored, TOMBSTONE_TTL, WriteOutcome,
};
pub use record::{Body, HEADER_BYTES, Header, Owner, Record, Stamp, State, Value, Version};
pub use registry::{ConnectOptions, Connecting, Engine, connect, engines, register};
pub use secret::Secret;
pub use transport::{
    Candidates, Connection, CookieSettings, Incoming, MAX_CANDIDATES, MAX_COOKIE_OCTETS, QUERY_MODE_HEADERS,
    SameSite, SecureMode, Source, TokenHeaders, Transport, TrustedProxies, cookie_name_of_scope,
};

#[doc(hidden)]
pub mod __private {
    pub use inventory;
}
