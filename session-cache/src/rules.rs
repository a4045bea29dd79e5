//! The decisions of the cache: what may be shown, kept and waited for. Without locks, clocks and calls, so that the model
//! (`crate::model`) takes the same ones.

use std::num::NonZeroU64;
use std::time::Duration;

use session_core::clock::Timestamp;

/// A time during which all notices have arrived. It ends when the bus is lost, and when a notice says that anything may
/// have changed.
pub(crate) type Epoch = NonZeroU64;

/// The epoch of a bus at a time: none while it is lost (zero), and none when its last answer does not count any more.
/// Times are milliseconds.
pub(crate) fn epoch_at(epoch: u64, now: u64, good_until: u64) -> Option<Epoch> {
    Epoch::new(epoch).filter(|_| now < good_until)
}

/// When the engine was asked for a session: what it answered is at least as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub at: Timestamp,
    /// `None` while the bus is lost: nobody tells when the answer is too old.
    pub epoch: Option<Epoch>,
}

impl Asked {
    /// Whether those who ask now may be given the answer.
    pub fn is_new(self, now: Timestamp, max_stale: Duration) -> bool {
        self.at <= now && now.since(self.at) < max_stale
    }

    /// Whether all notices since then have arrived, by the present epoch.
    pub fn is_watched(self, present: Option<Epoch>) -> bool {
        self.epoch.is_some() && self.epoch == present
    }

    /// Whether the answer may show what ended together with all sessions of its owner.
    pub fn is_before(self, ended: Timestamp) -> bool {
        self.at <= ended
    }
}

/// What is under way for one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Busy<F> {
    /// The read whose answer is kept, and which others may wait for. All others are detached: their answers go to those
    /// who wait for them already, and to nobody else.
    flight: Option<F>,
    writers: usize,
}

impl<F: Clone> Busy<F> {
    /// Joins the read that is under way, if that may be, or begins one.
    pub fn read(&mut self, may_join: impl FnOnce(&F) -> bool, begin: impl FnOnce() -> F) -> F {
        let flight = self.flight.take().filter(may_join).unwrap_or_else(begin);
        self.flight.insert(flight).clone()
    }

    /// Somebody does not wait for a read any more. Says whether its answer may be kept, if it has one.
    ///
    /// `is_it` compares a read with that one, and `is_over` says that it has its answer or that nobody waits for it.
    pub fn leave(&mut self, is_it: impl FnOnce(&F) -> bool, is_over: bool) -> bool {
        if !(is_over && self.flight.as_ref().is_some_and(is_it)) {
            return false;
        }
        self.flight = None;
        self.writers == 0
    }

    /// Begins a write. What is being read may be from before it.
    pub fn write(&mut self) {
        self.writers += 1;
        self.detach();
    }

    /// Ends a write. A read that began during it may show what was there before.
    pub fn written(&mut self) {
        self.writers -= 1;
        self.detach();
    }

    /// Lets the answer of the read that is under way be neither kept nor waited for by others.
    pub fn detach(&mut self) {
        self.flight = None;
    }

    pub fn is_written(&self) -> bool {
        self.writers > 0
    }

    pub fn is_over(&self) -> bool {
        self.flight.is_none() && !self.is_written()
    }
}

impl<F> Default for Busy<F> {
    fn default() -> Self {
        Self { flight: None, writers: 0 }
    }
}
