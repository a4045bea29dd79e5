//! How a live session becomes a stored one: create, merge and replace, move to a new id, or end.
//!
//! Every write is conditional on the version that was read. A refusal brings what is stored now; the request's
//! changes are then applied to that and written again, until the operation's deadline.

pub(crate) mod attempt;
mod destroy;
mod detach;
mod queue;
mod update;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use destroy::end;
pub(crate) use detach::{Detached, detached};
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

/// A release: done at once when there is nothing to store, else under way.
pub(crate) enum Releasing {
    Done(Option<Result<()>>),
    Storing(Detached<Result<()>>),
}

/// Stores what a request changed; see [`Session::release`](crate::Session::release).
pub(crate) fn release(live: &Arc<Live>, create: Create) -> Releasing {
    {
        let mut state = live.state();
        let done = match state.phase {
            Phase::Active if is_idle(&live.manager, &state, create) => {
                state.phase = Phase::Released;
                Some(Ok(()))
            }
            Phase::Active | Phase::Busy => None,
            Phase::Released | Phase::Destroyed => Some(Ok(())),
            Phase::Failed(_) => Some(state.phase.earlier_failure().map_or(Ok(()), Err)),
        };
        if done.is_some() {
            return Releasing::Done(done);
        }
    }
    Releasing::Storing(detached(release_owned(Arc::clone(live))))
}

impl Future for Releasing {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut *self {
            // A future is not polled again after it has answered; one that is has nothing to add.
            Self::Done(outcome) => Poll::Ready(outcome.take().unwrap_or(Ok(()))),
            Self::Storing(work) => Pin::new(work).poll(context),
        }
    }
}

/// Whether a release has nothing to do, not even to move the idle deadline.
fn is_idle(manager: &Shared, state: &State, create: Create) -> bool {
    match &state.stored {
        None => create == Create::Never || (state.body.is_empty() && state.plan.owner.is_none()),
        Some(stored) => state.changes.is_empty() && state.plan.is_empty() && !manager.must_touch(stored),
    }
}

async fn release_owned(live: Arc<Live>) -> Result<()> {
    let _turn = live.gate.lock().await;
    let (stored, mut work) = {
        let mut state = live.state();
        match state.phase {
            Phase::Active => {}
            Phase::Failed(_) => return state.phase.earlier_failure().map_or(Ok(()), Err),
            _ => return Ok(()),
        }
        state.phase = Phase::Busy;
        let work = Work {
            body: state.body.clone(),
            changes: std::mem::take(&mut state.changes),
            plan: std::mem::take(&mut state.plan),
        };
        (state.stored.clone(), work)
    };
    let guard = PanicGuard(&live);
    let outcome = match stored {
        None => update::create(&live.manager, work.body, &work.plan).await,
        Some(stored) => update::replace(&live.manager, stored, &mut work).await,
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// More than 1,032 bytes cost several times as much: glibc keeps smaller pieces at hand for each thread.
    #[test]
    fn what_a_release_is_boxed_in_is_small() {
        fn bytes<A, F>(_: fn(A) -> F) -> usize {
            size_of::<F>()
        }
        assert!(bytes(release_owned) <= 1_032, "{} bytes", bytes(release_owned));
    }
}
