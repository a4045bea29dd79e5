//! Events of sessions, delivered to the application after the fact and outside of its requests.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::id::StorageId;
use crate::observe;
use crate::record::{Handle, Header, Owner};

/// An event in the life of a session; see
/// [`ManagerBuilder::on_event`](crate::ManagerBuilder::on_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The number of affected sessions: more than one when they ended together.
    pub sessions: u64,
    /// The session's owner, if known: compare it with [`Owner::of`] the user id.
    pub owner: Option<Owner>,
    /// The session's name in the list of its owner's sessions, if known.
    pub handle: Option<Handle>,
    /// The id under which the session is stored, if known. Its `Debug` prints a shortened hash.
    pub id: Option<StorageId>,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The session was stored for the first time.
    Created,
    /// The session was ended.
    Destroyed(EndedBy),
    /// Expired sessions were collected. Engines whose storage expires by itself do not report this.
    Expired,
    /// The session got a new id.
    Regenerated,
    /// A request carried an id that was replaced, and whose grace period is over: a late request,
    /// or a stolen id.
    ReplacedIdUsed,
    /// Another request stored the session first, and the changes were merged.
    Conflict,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// The client's own logout.
    Logout,
    /// The user or an administrator ended it from another session: `end`, `end_others`, `end_all`.
    AnotherDevice,
    /// The limit of sessions for each user.
    Limit,
    /// A client that presented several live sessions began a new one.
    Ambiguity,
    /// A replaced id was used after its grace period.
    Reuse,
}

/// The number of events that may wait for the listener. More are dropped and counted.
const WAITING: usize = 1_024;

pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The queue of events for the listener; empty if there is none.
#[derive(Default)]
pub(crate) struct Events(Option<Box<Listening>>);

struct Listening {
    sender: Sender<Event>,
    /// Taken by the task that calls the listener. The first event starts the task.
    idle: Mutex<Option<(Receiver<Event>, Listener)>>,
}

impl Events {
    pub(crate) fn to(listener: Option<Listener>) -> Self {
        Self(listener.map(|listener| {
            let (sender, receiver) = channel(WAITING);
            Box::new(Listening { sender, idle: Mutex::new(Some((receiver, listener))) })
        }))
    }

    /// Reports an event of one session. Without a listener it does nothing.
    pub(crate) fn emit(&self, kind: EventKind, id: &StorageId, header: Option<&Header>) {
        if let Some(listening) = &self.0 {
            listening.send(Event {
                kind,
                sessions: 1,
                owner: header.and_then(|header| header.owner),
                handle: header.and_then(|header| header.account()).map(|account| account.handle),
                id: Some(id.clone()),
            });
        }
    }

    /// Reports an event of several sessions together.
    pub(crate) fn emit_many(&self, kind: EventKind, sessions: usize, owner: Option<Owner>) {
        if let (Some(listening), 1..) = (&self.0, sessions) {
            listening.send(Event { kind, sessions: sessions as u64, owner, handle: None, id: None });
        }
    }
}

impl Listening {
    fn send(&self, event: Event) {
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

/// Calls the listener until the manager is dropped. After a panic the listener is still called for
/// later events.
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
