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
//! | | without a cache | with one |
//! |---|---|---|
//! | a read | as new as the engine | up to `max_stale` old (one second by default) |
//! | a logout, a new id, an expiry made in this process | seen at once | seen at once |
//! | the same made in another process | seen at once | seen within `max_stale` |
//! | a write | decided by the engine | decided by the engine: a stale read is a conflict, which merges |
//! | `update`, `take`, a sign-in | decided by the engine | decided by the engine |
//! | [`Session::reload`](session_core::Session::reload) | reads the engine | reads the engine |
//! | the idle deadline | moves with every read, where the engine does that | moves with every read of the engine |
//!
//! A request that must not take the risk (a payment, a change of rights) calls `session.reload().await` first: one round
//! trip.
//!
//! # What it does
//!
//! - A hundred requests of one session at the same time ask the engine once.
//! - What is not there is not remembered: a session that begins is found at once.
//! - Memory is bounded by [`Settings::max_bytes`]; what is used least is dropped first.
//! - With the feature `metrics`: `session_cache_hit` and `session_cache_miss`.

mod bus;
mod entries;
mod provider;
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
