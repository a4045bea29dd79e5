//! Reads of sessions at the speed of memory, over any engine.
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
//! [`Cached`] is an engine around an engine: it passes the conformance suite with what it declares, and a manager is told of
//! nothing else.
//!
//! # What you give up
//!
//! | | without a cache | with one | with one and a bus |
//! |---|---|---|---|
//! | a read | as new as the engine | up to `max_stale` old (one second by default) | normally milliseconds old, at most `max_stale` |
//! | a logout, a new id, an expiry made in this process | seen at once | seen at once | seen at once |
//! | the same made in another process | seen at once | seen within `max_stale` | seen when its notice arrives, at the latest after `max_stale` |
//! | a write | decided by the engine | the same: a stale read is a conflict, which merges | the same |
//! | `update`, `take`, a sign-in | decided by the engine | the same | the same |
//! | [`Session::fresh`](session_core::Session::fresh), `reload` | read the engine | the same | the same |
//! | the idle deadline | moves with every read, where the engine does that | moves with every read of the engine | moves at most once per `touch_after` |
//! | what it costs | | memory | memory, a connection, and what the engine's `notices` cost |
//!
//! A request that must not take the risk (a payment, a change of rights) calls `session.fresh().await` first: one round
//! trip.
//!
//! # The bus
//!
//! An engine whose configuration says `notices` notifies every cache of what other processes change: Redis and Valkey by
//! `CLIENT TRACKING` or keyspace notifications (`notices=on`), PostgreSQL by `NOTIFY` (`notices=true`). The cache listens by
//! itself; there is nothing else to set. With other engines `max_stale` alone decides.
//!
//! A bus that is lost turns the cache off, not wrong: until it is back every read asks the engine, and afterwards nothing
//! is shown that was read before. A connection that breaks is noticed at once, one that died in silence within about two
//! seconds, by a heartbeat. `max_stale` holds in any case. [`Cached::bus`] says whether it is connected.
//!
//! # What it does
//!
//! - A hundred requests of one session at the same time ask the engine once.
//! - What is not there is not remembered: a session that begins is found at once.
//! - Memory is bounded by [`Settings::max_bytes`]; what is used least is dropped first.
//! - With the feature `metrics`: `session_cache_hit`, `session_cache_miss`, the age of what was shown
//!   (`session_cache_age_seconds`), and of the bus `session_cache_bus_up`, `session_cache_bus_lost` and
//!   `session_cache_notice`.

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
