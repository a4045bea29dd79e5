//! The core's signals for operators: `tracing` events and, with the feature `metrics`, counters.
//!
//! A storage id prints as the first digits of a hash; tokens are never passed here. Every counter
//! has the name of its event; `session_operation_seconds` is a histogram.

use crate::Error;
use crate::id::StorageId;

/// Increments the counter of an event.
fn count(event: &'static str, by: usize) {
    #[cfg(feature = "metrics")]
    metrics::counter!(event).increment(by as u64);
    #[cfg(not(feature = "metrics"))]
    let _ = (event, by);
}

/// Measures the duration of an operation, including all attempts. Without the feature it does
/// nothing.
#[derive(Debug)]
pub(crate) struct Stopwatch(#[cfg(feature = "metrics")] std::time::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            std::time::Instant::now(),
        )
    }

    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self, reason = "nothing is measured"))]
    pub(crate) fn stop(&self, engine: &'static str, operation: &'static str) {
        #[cfg(feature = "metrics")]
        metrics::histogram!("session_operation_seconds", "engine" => engine, "operation" => operation)
            .record(self.0.elapsed().as_secs_f64());
        #[cfg(not(feature = "metrics"))]
        let _ = (engine, operation);
    }
}

pub(crate) fn created(session: &StorageId) {
    count("session_created", 1);
    tracing::debug!(?session, "session created");
}

pub(crate) fn conflict(session: &StorageId) {
    count("session_conflict", 1);
    tracing::debug!(?session, "session changed by another request, merging");
}

pub(crate) fn regenerated(session: &StorageId, new: &StorageId) {
    count("session_regenerated", 1);
    tracing::debug!(?session, ?new, "session id regenerated");
}

pub(crate) fn destroyed(session: &StorageId) {
    count("session_destroyed", 1);
    tracing::debug!(?session, "session destroyed");
}

pub(crate) fn destroyed_of_owner(sessions: usize) {
    count("session_destroyed", sessions);
    tracing::debug!(sessions, "sessions of an owner destroyed");
}

pub(crate) fn event_dropped() {
    count("session_event_dropped", 1);
    tracing::debug!("a session event was dropped: the listener is too slow");
}

pub(crate) fn not_stored(session: Option<&StorageId>, error: &Error) {
    count("session_not_stored", 1);
    tracing::warn!(session = session.map(tracing::field::debug), %error, "session not stored");
}

pub(crate) fn unreadable(session: &StorageId, error: &Error) {
    count("session_unreadable", 1);
    tracing::error!(?session, %error, "unreadable session record, removed");
}

pub(crate) fn ambiguous(sessions: usize) {
    count("session_ambiguous_cookie", 1);
    tracing::warn!(sessions, "ambiguous_cookie: several live sessions presented, none used");
}

pub(crate) fn not_touched(session: &StorageId, error: &Error) {
    count("session_not_touched", 1);
    tracing::warn!(?session, %error, "idle deadline not extended");
}

pub(crate) fn collected(sessions: usize) {
    count("session_collected", sessions);
    tracing::debug!(sessions, "expired sessions collected");
}

pub(crate) fn dropped_unsaved(session: Option<&StorageId>) {
    count("session_dropped_unsaved", 1);
    let session = session.map(tracing::field::debug);
    tracing::warn!(session, "a session with unsaved changes was dropped: call `release` or `save`");
}

pub(crate) fn replaced_id_used(session: &StorageId) {
    count("session_replaced_id_used", 1);
    tracing::warn!(?session, "replaced_id_used: a request presented an id that was replaced");
}

pub(crate) fn still_ambiguous(session: &StorageId, error: &Error) {
    count("session_still_ambiguous", 1);
    tracing::warn!(?session, %error, "another session of the client was not ended");
}

pub(crate) fn unreadable_value(key: &str, error: &Error) {
    count("session_unreadable_value", 1);
    tracing::warn!(key, %error, "a stored value does not have the requested type");
}
