//! The history of one session: the clients' calls with their start and end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::ErrorKind;

/// The session as seen by a request.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The added numbers, in order.
    pub log: Vec<u64>,
    /// Their expected count, incremented by the same requests.
    pub counter: u64,
    /// The last number of each client, under its own key.
    pub own: BTreeMap<u64, u64>,
}

/// Abbreviated: the count and the last numbers. Earlier ones are in an earlier call.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = &self.log[self.log.len().saturating_sub(4)..];
        write!(f, "{} numbers to {last:?}", self.log.len())
    }
}

/// The outcome for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Nothing was changed, for this reason.
    Refused(ErrorKind),
    /// It was done at most once; also if the client did not wait for the response.
    Unknown,
}

/// One call. Ids are numbered in the order in which clients got them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A session was loaded.
    Load {
        /// The id.
        token: usize,
        /// The result.
        found: Found,
    },
    /// A request with changes was released.
    Commit {
        /// The id under which it was loaded.
        token: usize,
        /// The added number.
        number: Option<u64>,
        /// Whether it requested a new id.
        renews: bool,
        /// The id that the client got.
        renewed: Option<usize>,
        /// The outcome reported to the client.
        outcome: Outcome,
        /// The handle's state afterwards, if it was done.
        after: Option<Seen>,
    },
    /// A logout.
    End {
        /// The id.
        token: usize,
        /// The outcome reported to the client.
        outcome: Outcome,
    },
}

/// The result of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A session.
    Session(Seen),
    /// None.
    Nothing,
    /// An error without information about the session, or the client did not wait.
    Unheard,
    /// An error that a healthy engine never returns.
    Odd(ErrorKind),
}

/// A call with its time: a counter that grows with every start and end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The client that made it.
    pub client: u64,
    /// Before it was made.
    pub begin: u64,
    /// After its response; `u64::MAX` if the client did not wait for it.
    pub end: u64,
    /// The call.
    pub what: What,
}

/// Records the history.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    time: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// A call begins. Until it is [`answered`](Self::answered) it counts as not waited for.
    pub(crate) fn begin(&self, client: u64, what: What) -> usize {
        let mut events = self.events();
        let begin = self.time.fetch_add(1, Ordering::SeqCst);
        events.push(Event { client, begin, end: u64::MAX, what });
        events.len() - 1
    }

    /// A call was answered.
    pub(crate) fn answered(&self, call: usize, answer: impl FnOnce(&mut What)) {
        let mut events = self.events();
        answer(&mut events[call].what);
        events[call].end = self.time.fetch_add(1, Ordering::SeqCst);
    }

    /// All events so far.
    pub(crate) fn history(&self) -> Vec<Event> {
        self.events().clone()
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
