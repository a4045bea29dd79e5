//! What happens to sessions, told to the application after the fact and off the way of its requests.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::id::StorageId;
use crate::observe;
use crate::record::{Handle, Header, Owner};

/// Something that happened to a session; see [`ManagerBuilder::on_event`](crate::ManagerBuilder::on_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To how many sessions: more than one when they ended together.
    pub sessions: u64,
    /// Whose session it is, when that is known: compare it with [`Owner::of`] the user id.
    pub owner: Option<Owner>,
    /// The session's name in the list of its owner's sessions, when that is known.
    pub handle: Option<Handle>,
    /// Under which id it is stored, when that is known. Its `Debug` prints a shortened hash.
    pub id: Option<StorageId>,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It was stored for the first time.
    Created,
    /// It was ended.
    Destroyed(EndedBy),
    /// Expired sessions were collected. An engine whose storage expires by itself does not tell.
    Expired,
    /// It got a new id.
    Regenerated,
    /// A request came with an id that was replaced, and not within its grace: a late request, or a stolen id.
    ReplacedIdUsed,
    /// Another request was faster, and the changes were merged.
    Conflict,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The client's own logout.
    Logout,
    /// The user or an administrator from another session: `end`, `end_others`, `end_all`.
    AnotherDevice,
    /// The limit of sessions for each user.
    Limit,
    /// A client that presented several live sessions began a new one.
    Ambiguity,
    /// An id that was replaced came back after its grace.
    Reuse,
}

/// How many events may wait for the listener. More are dropped and counted.
const WAITING: usize = 1_024;

pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The way of events to the listener; nothing where there is none.
#[derive(Default)]
pub(crate) struct Events(Option<Box<Listening>>);

struct Listening {
    sender: Sender<Event>,
    /// Taken by the task that calls the listener, which the first event starts.
    idle: Mutex<Option<(Receiver<Event>, Listener)>>,
}

impl Events {
    pub(crate) fn to(listener: Option<Listener>) -> Self {
        Self(listener.map(|listener| {
            let (sender, receiver) = channel(WAITING);
            Box::new(Listening { sender, idle: Mutex::new(Some((receiver, listener))) })
        }))
    }

    /// Tells of one session. Without a listener it does nothing.
    pub(crate) fn tell(&self, kind: EventKind, id: &StorageId, header: Option<&Header>) {
        if let Some(listening) = &self.0 {
            listening.tell(Event {
                kind,
                sessions: 1,
                owner: header.and_then(|header| header.owner),
                handle: header.and_then(|header| header.account()).map(|account| account.handle),
                id: Some(id.clone()),
            });
        }
    }

    /// Tells of several sessions at once.
    pub(crate) fn tell_of_many(&self, kind: EventKind, sessions: usize, owner: Option<Owner>) {
        if let (Some(listening), 1..) = (&self.0, sessions) {
            listening.tell(Event { kind, sessions: sessions as u64, owner, handle: None, id: None });
        }
    }
}

impl Listening {
    fn tell(&self, event: Event) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.is_some()
            && let Ok(runtime) = Runtime::try_current()
            && let Some((receiver, listener)) = idle.take()
        {
            runtime.spawn(listen(receiver, listener));
        }
        drop(idle);
        if self.sender.try_send(event).is_err() {
            observe::event_dropped();
        }
    }
}

/// Calls the listener until the manager is dropped. A listener that panics is called again for the next event.
async fn listen(mut receiver: Receiver<Event>, listener: Listener) {
    while let Some(event) = receiver.recv().await {
        if catch_unwind(AssertUnwindSafe(|| listener(&event))).is_err() {
            tracing::error!(kind = ?event.kind, "a listener of session events panicked");
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0.is_some()).finish()
    }
}
