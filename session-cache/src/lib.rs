//! A cache for the sessions of any engine: reads at the speed of memory.
//!
//! ```
//! # fn demo(engine: session_memory::MemoryProvider) -> session_core::Result<()> {
//! use std::time::Duration;
//!
//! use session_cache::{Cached, Settings};
//! use session_core::Manager;
//!
//! let cached = Cached::new(engine, Settings::new().max_stale(Duration::from_secs(1)))?;
//! let manager = Manager::builder(cached).build()?;
//! # drop(manager); Ok(()) }
//! ```
//!
//! [`Cached`] is an engine that wraps another engine: it passes the conformance suite with its
//! declared capabilities, and needs no special handling in the manager.
//!
//! # What you give up
//!
//! | | without a cache | with a cache | with a cache and a bus |
//! |---|---|---|---|
//! | a read | as new as the engine | up to `max_stale` old (one second by default) | normally milliseconds old, at most `max_stale` |
//! | a logout, a new id, an expiry in this process | visible immediately | visible immediately | visible immediately |
//! | the same in another process | visible immediately | visible within `max_stale` | visible when its notice arrives, at the latest after `max_stale` |
//! | a write | decided by the engine | the same: a stale read is a conflict, which merges | the same |
//! | `update`, `take`, a sign-in | decided by the engine | the same | the same |
//! | [`Session::fresh`](session_core::Session::fresh), `reload` | read the engine | the same | the same |
//! | the idle deadline | extended by every read, if the engine does that | extended by every read of the engine | extended at most once per `touch_after` |
//! | cost | | memory | memory, a connection, and the cost of the engine's `notices` |
//!
//! A request that must not use a stale session (a payment, a change of privileges) calls
//! `session.fresh().await` first: one round trip.
//!
//! # The bus
//!
//! An engine with `notices` in its configuration notifies every cache of the changes of other
//! processes: Redis and Valkey by `CLIENT TRACKING` or keyspace notifications (`notices=on`),
//! PostgreSQL by `NOTIFY` (`notices=true`). The cache listens by itself; nothing else needs to be
//! configured. With other engines only `max_stale` applies.
//!
//! Losing the bus turns the cache off, but never makes it wrong: until the bus is back every read
//! goes to the engine, and afterwards no earlier read is used. A broken connection is detected
//! immediately, and one that died silently within about two seconds, by a heartbeat. `max_stale`
//! holds in any case. [`Cached::bus`] returns whether the bus is connected.
//!
//! # Properties
//!
//! - A hundred concurrent requests of one session read the engine once.
//! - Missing sessions are not cached: a new session is found immediately.
//! - Memory is bounded by [`Settings::max_bytes`]; the least used sessions are evicted first.
//! - With the feature `metrics`: `session_cache_hit`, `session_cache_miss`, the age of cached reads
//!   (`session_cache_age_seconds`), and for the bus `session_cache_bus_up`,
//!   `session_cache_bus_lost` and `session_cache_notice`.

mod bus;
mod entries;
#[cfg(test)]
mod model;
mod provider;
mod rules;
mod settings;

pub use bus::Bus;
pub use provider::Cached;
pub use settings::Settings;

/// Adds one to a counter.
fn count(event: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(event).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = event;
}

/// Records a time.
fn measure(what: &'static str, time: std::time::Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(what).record(time.as_secs_f64());
    #[cfg(not(feature = "metrics"))]
    let _ = (what, time);
}

/// Sets a gauge.
fn gauge(what: &'static str, value: f64) {
    #[cfg(feature = "metrics")]
    metrics::gauge!(what).set(value);
    #[cfg(not(feature = "metrics"))]
    let _ = (what, value);
}
