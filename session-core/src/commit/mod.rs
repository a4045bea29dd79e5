//! How a live session becomes a stored one: create, merge and replace, move to a new id, or end.
//!
//! Every write is conditional on the version that was read. A refusal brings what is stored now; the request's
//! changes are then applied to that and written again, until the operation's deadline.

pub(crate) mod attempt;
mod destroy;
mod detach;
mod queue;
mod update;

use std::sync::Arc;

pub(crate) use destroy::end;
pub(crate) use detach::detached;
pub(crate) use queue::Queue;

use crate::live::Live;
use crate::live::state::{Message, Phase, State, Stored};
use crate::manager::Shared;
use crate::{Error, ErrorKind, Result, observe};
use update::{Committed, Work};

/// Whether a release may bring a session into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Allowed,
    Never,
}

/// Stores what a request changed; see [`Session::release`](crate::Session::release).
pub(crate) async fn release(live: &Arc<Live>, create: Create) -> Result<()> {
    {
        let mut state = live.state();
        match state.phase {
            Phase::Active if is_idle(&live.manager, &state, create) => {
                state.phase = Phase::Released;
                return Ok(());
            }
            Phase::Active | Phase::Busy => {}
            Phase::Released | Phase::Destroyed => return Ok(()),
            Phase::Failed(_) => return state.phase.earlier_failure().map_or(Ok(()), Err),
        }
    }
    detached(release_owned(Arc::clone(live))).await
}

/// Whether a release has nothing to do, not even to move the idle deadline.
fn is_idle(manager: &Shared, state: &State, create: Create) -> bool {
    match &state.stored {
        None => create == Create::Never || (state.changes.is_empty() && state.plan.owner.is_none()),
        Some(stored) => state.changes.is_empty() && state.plan.is_empty() && !manager.must_touch(stored),
    }
}

async fn release_owned(live: Arc<Live>) -> Result<()> {
    let _turn = live.gate.lock().await;
    let work = {
        let mut state = live.state();
        match state.phase {
            Phase::Active => {}
            Phase::Failed(_) => return state.phase.earlier_failure().map_or(Ok(()), Err),
            _ => return Ok(()),
        }
        state.phase = Phase::Busy;
        Work {
            stored: state.stored.clone(),
            changes: std::mem::take(&mut state.changes),
            plan: std::mem::take(&mut state.plan),
        }
    };
    let guard = PanicGuard(&live);
    let outcome = update::commit(&live.manager, work).await;
    std::mem::forget(guard);
    let mut state = live.state();
    match outcome {
        Ok(Committed { stored, message }) => {
            state.phase = Phase::Released;
            state.message = message;
            state.body = stored.as_ref().map(|stored| stored.record.body.clone()).unwrap_or_default();
            state.stored = stored;
            Ok(())
        }
        Err(error) => {
            state.phase = Phase::Failed(error.kind());
            observe::not_stored(state.stored.as_ref().map(|stored| &stored.id), &error);
            Err(error)
        }
    }
}

/// A panic in an `update` function leaves the session failed, not for ever busy.
struct PanicGuard<'a>(&'a Live);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.state().phase = Phase::Failed(ErrorKind::Released);
    }
}

/// Ends a session; see [`Session::destroy`](crate::Session::destroy).
pub(crate) async fn destroy(live: &Arc<Live>) -> Result<()> {
    detached(destroy_owned(Arc::clone(live))).await
}

async fn destroy_owned(live: Arc<Live>) -> Result<()> {
    let _turn = live.gate.lock().await;
    let sessions: Vec<Arc<Stored>> = {
        let mut state = live.state();
        match state.phase {
            Phase::Destroyed => return Ok(()),
            Phase::Failed(_) | Phase::Active | Phase::Released | Phase::Busy => {}
        }
        state.phase = Phase::Busy;
        state.changes.clear();
        state.stored.iter().chain(&live.others).cloned().collect()
    };
    let mut ended = false;
    let mut failure: Option<Error> = None;
    for session in &sessions {
        match end(&live.manager, &session.id, Some(session.record.stamp())).await {
            Ok(was_there) => ended |= was_there,
            Err(error) => failure = Some(error),
        }
    }
    let mut state = live.state();
    if let Some(error) = failure {
        state.phase = Phase::Failed(error.kind());
        state.message = Message::Nothing;
        return Err(error);
    }
    // A session that this very request created is unknown to the client: there is no cookie to remove.
    let unheard = matches!(state.message, Message::Hold(_));
    state.phase = Phase::Destroyed;
    state.message = if ended && !unheard { Message::Forget } else { Message::Nothing };
    state.stored = None;
    state.body.clear();
    Ok(())
}
