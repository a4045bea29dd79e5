//! The live session of one request as a value: the loaded record, the handler's changes, and the
//! phase of its life. Nothing here calls the engine.

mod change;
mod load_state;
mod state;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use change::{Change, Updating};
pub use load_state::LoadState;
pub(crate) use state::{Messenger, NewOwner, Phase, Plan, State, Stored};

use crate::id::StorageId;
use crate::record::Version;
use crate::shared::{Begun, Operation, Shared, with_deadline};
use crate::{Error, ErrorKind, Result, observe};

/// The result of looking up the tokens that a client presented.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub state: LoadState,
    /// The one live session.
    pub session: Option<Arc<Stored>>,
    /// Other sessions that the client presented: none of them is used, and a logout ends them too.
    pub others: Vec<Other>,
}

/// A session that the client presented and that is not the one in use.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    pub id: StorageId,
    /// Its last write, of a live one.
    pub version: Option<Version>,
    /// It is found under this id no more, or the client holds a newer record of it: only a logout
    /// ends it too.
    pub moved: bool,
}

pub(crate) struct Live {
    pub shared: Arc<Shared>,
    pub state: Mutex<State>,
    /// Held by the release, save, reload or destroy in progress.
    pub gate: tokio::sync::Mutex<()>,
    /// Whether a request will release this session at its end. If none will, dropping unsaved
    /// changes is reported.
    pub in_request: AtomicBool,
}

impl Live {
    pub(crate) fn new(shared: Arc<Shared>, found: Found, messenger: Messenger) -> Self {
        Self {
            shared,
            state: Mutex::new(State::new(found, messenger)),
            gate: tokio::sync::Mutex::default(),
            in_request: AtomicBool::new(messenger == Messenger::Response),
        }
    }

    /// Waits for the turn of a commit, a reload or a logout of this handle.
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when an earlier one still waits for the engine at
    /// the deadline of this one.
    pub(crate) async fn turn(&self, operation: &Operation) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        // Usually the gate is free.
        if let Ok(turn) = self.gate.try_lock() {
            return Ok(turn);
        }
        let turn = Box::pin(with_deadline(Begun::No, || operation.end(), self.gate.lock())).await;
        turn.ok_or_else(|| {
            let message = "an earlier commit of this session is still waiting for the engine";
            operation.explain(Error::new(ErrorKind::Unavailable, message))
        })
    }

    /// Returns whether a commit, a reload or a logout is in progress.
    pub(crate) fn is_committing(&self) -> bool {
        self.gate.try_lock().is_err()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the handle at the end of its request: it accepts no more changes.
    pub(crate) fn close(&self) {
        self.in_request.store(false, Ordering::Relaxed);
        let mut state = self.state();
        state.closed = true;
        if state.phase == Phase::Active {
            state.phase = Phase::Released;
            state.forget_changes();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Active
            && state.is_modified()
            && !self.in_request.load(Ordering::Relaxed)
            && !std::thread::panicking()
        {
            observe::dropped_unsaved(state.stored.as_ref().map(|stored| &stored.id));
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("id", &state.stored.as_ref().map(|stored| &stored.id))
            .field("phase", &state.phase)
            .field("found", &state.found)
            .field("keys", &state.body.len())
            .finish()
    }
}
