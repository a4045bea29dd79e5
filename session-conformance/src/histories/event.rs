//! What clients did to one session, with the beginning and the end of each call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::ErrorKind;

/// What a request sees of its session.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The numbers that were added, in the order in which that was done.
    pub log: Vec<u64>,
    /// How many there should be: counted up by the same requests.
    pub counter: u64,
    /// The number that each client added last, under a key of its own.
    pub own: BTreeMap<u64, u64>,
}

/// Short: how many numbers, and the last ones. Each was seen by an earlier call.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = &self.log[self.log.len().saturating_sub(4)..];
        write!(f, "{} numbers to {last:?}", self.log.len())
    }
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Nothing was changed, for this reason.
    Refused(ErrorKind),
    /// It was done once or not at all; also when the client did not wait for the answer.
    Unknown,
}

/// One call. Ids are numbered in the order in which clients got them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A session was asked for.
    Load {
        /// Under which id.
        token: usize,
        /// What was there.
        found: Found,
    },
    /// A request with changes was released.
    Commit {
        /// Under which id it was loaded.
        token: usize,
        /// What it added.
        number: Option<u64>,
        /// Whether it asked for a new id.
        renews: bool,
        /// The id that the client got.
        renewed: Option<usize>,
        /// What the client was told.
        outcome: Outcome,
        /// What the handle showed afterwards, when it was done.
        after: Option<Seen>,
    },
    /// A logout.
    End {
        /// Under which id.
        token: usize,
        /// What the client was told.
        outcome: Outcome,
    },
}

/// What a load found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A session.
    Session(Seen),
    /// None.
    Nothing,
    /// An error that says nothing about the session, or the client did not wait.
    Unheard,
    /// An error that no healthy engine gives.
    Odd(ErrorKind),
}

/// A call with its time: a number that grows with every beginning and end of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who made it.
    pub client: u64,
    /// Before it was made.
    pub begin: u64,
    /// After it was answered; `u64::MAX` when the client did not wait for that.
    pub end: u64,
    /// What it was.
    pub what: What,
}

/// Writes down what happens.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    time: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// A call begins. Until it is [`heard`](Self::heard) it is one that nobody waited for.
    pub(crate) fn begin(&self, client: u64, what: What) -> usize {
        let mut events = self.events();
        let begin = self.time.fetch_add(1, Ordering::SeqCst);
        events.push(Event { client, begin, end: u64::MAX, what });
        events.len() - 1
    }

    /// A call was answered.
    pub(crate) fn heard(&self, call: usize, answer: impl FnOnce(&mut What)) {
        let mut events = self.events();
        answer(&mut events[call].what);
        events[call].end = self.time.fetch_add(1, Ordering::SeqCst);
    }

    /// Everything so far.
    pub(crate) fn history(&self) -> Vec<Event> {
        self.events().clone()
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
