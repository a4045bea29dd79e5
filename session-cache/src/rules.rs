//! The decisions of the cache: which answers may be returned, kept and shared. They use no locks,
//! clocks or calls, so that the model (`crate::model`) can use them too.

use std::num::NonZeroU64;
use std::time::Duration;

use session_core::clock::Timestamp;

/// A period in which every notice has arrived. It ends when the bus is lost, and when a notice says
/// that any record may have changed.
pub(crate) type Epoch = NonZeroU64;

/// Returns the current epoch; `None` while the bus is lost (zero), and when its last answer is too
/// old. Times are in milliseconds.
pub(crate) fn epoch_at(epoch: u64, now: u64, good_until: u64) -> Option<Epoch> {
    Epoch::new(epoch).filter(|_| now < good_until)
}

/// The time when the engine was asked for a session. Its answer is at least as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub at: Timestamp,
    /// `None` while the bus is lost: no notice reports later changes.
    pub epoch: Option<Epoch>,
}

impl Asked {
    /// Returns whether a reader that asks now may have the answer.
    pub fn is_new(self, now: Timestamp, max_stale: Duration) -> bool {
        self.at <= now && now.since(self.at) < max_stale
    }

    /// Returns whether all notices since then have arrived.
    pub fn is_watched(self, present: Option<Epoch>) -> bool {
        self.epoch.is_some() && self.epoch == present
    }

    /// Returns whether the answer may include a session that was ended at this time, with all
    /// others of its owner.
    pub fn is_before(self, ended: Timestamp) -> bool {
        self.at <= ended
    }
}

/// The calls in progress for one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Busy<F> {
    /// The read whose answer is kept, and which other readers may join. All other reads are
    /// detached: their answers go only to the readers that wait already.
    flight: Option<F>,
    writers: usize,
}

impl<F: Clone> Busy<F> {
    /// Joins the read in progress if `may_join` allows it, or begins one.
    pub fn read(&mut self, may_join: impl FnOnce(&F) -> bool, begin: impl FnOnce() -> F) -> F {
        let flight = self.flight.take().filter(may_join).unwrap_or_else(begin);
        self.flight.insert(flight).clone()
    }

    /// A reader no longer waits. Returns whether the answer may be kept, if there is one.
    ///
    /// `is_it` compares a read with the reader's, and `is_over` means that it has an answer, or no
    /// readers.
    pub fn leave(&mut self, is_it: impl FnOnce(&F) -> bool, is_over: bool) -> bool {
        if !(is_over && self.flight.as_ref().is_some_and(is_it)) {
            return false;
        }
        self.flight = None;
        self.writers == 0
    }

    /// Begins a write. A read in progress may return the record from before it.
    pub fn write(&mut self) {
        self.writers += 1;
        self.detach();
    }

    /// Ends a write. A read that began during it may return the record from before it.
    pub fn written(&mut self) {
        self.writers -= 1;
        self.detach();
    }

    /// Detaches the read in progress: its answer is not kept, and no other reader joins it.
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
