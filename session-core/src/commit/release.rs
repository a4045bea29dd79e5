//! The steps of a release, a save and a destroy. They run under the session's gate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::detach::{Detached, detached};
use super::replace::{Work, replace};
use super::{create, end, limit};
use crate::live::{Live, LoadState, Messenger, Other, Phase, State, Stored};
use crate::provider::TOMBSTONE_TTL;
use crate::shared::{EndedBy, EventKind, Operation};
use crate::{Error, ErrorKind, Result, observe};

/// Whether a release may create a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    Allowed,
    Never,
}

/// The state of the handle afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It accepts no more changes: a release.
    Close,
    /// It stays in use: a save.
    KeepOpen,
}

/// A release: done immediately when there is nothing to store, otherwise in progress.
pub(crate) enum Releasing {
    Done(Option<Result<()>>),
    Storing(Arc<Live>, Detached<Result<()>>),
}

/// Stores what a request changed; see [`Session::release`](crate::Session::release).
pub(crate) fn release(live: &Arc<Live>, create: Create, then: Then) -> Releasing {
    {
        let mut state = live.state();
        let done = match state.phase {
            Phase::Active if is_idle(live, &state, create) => {
                if then == Then::Close {
                    state.phase = Phase::Released;
                }
                Some(Ok(()))
            }
            Phase::Active | Phase::Saving | Phase::Busy => None,
            Phase::Released => Some(match then {
                Then::Close => Ok(()),
                Then::KeepOpen => state.must_be_active("save"),
            }),
            Phase::Failed(_) => {
                state.undelivered = false;
                Some(state.phase.earlier_failure().map_or(Ok(()), Err))
            }
        };
        if done.is_some() {
            return Releasing::Done(done);
        }
    }
    Releasing::Storing(Arc::clone(live), detached(release_owned(Arc::clone(live), create, then)))
}

/// Waits for an operation in progress, within the operation timeout, and stores nothing itself.
pub(crate) fn settled(live: &Arc<Live>) -> Releasing {
    let owned = Arc::clone(live);
    let settling = async move {
        let whole = owned.shared.operation("release", false);
        // After the timeout, the response reflects what is known so far.
        let _ = owned.turn(&whole).await;
        Ok(())
    };
    Releasing::Storing(Arc::clone(live), detached(settling))
}

impl Future for Releasing {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut *self {
            // A completed future must not be polled again; if it is, it reports success.
            Self::Done(outcome) => Poll::Ready(outcome.take().unwrap_or(Ok(()))),
            Self::Storing(live, work) => {
                let outcome = ready!(Pin::new(work).poll(context));
                live.state().undelivered = false;
                Poll::Ready(outcome)
            }
        }
    }
}

/// Returns whether a release has nothing to do, not even to extend the idle deadline.
fn is_idle(live: &Live, state: &State, create: Create) -> bool {
    match &state.stored {
        None => create == Create::Never || !state.is_modified(),
        Some(stored) => !state.is_modified() && live.shared.is_fresh(stored, state.messenger),
    }
}

async fn release_owned(live: Arc<Live>, create: Create, then: Then) -> Result<()> {
    let whole = live.shared.operation("release", true);
    let _turn = live.turn(&whole).await?;
    let (stored, mut work) = {
        let mut state = live.state();
        match state.phase {
            Phase::Active => {}
            Phase::Failed(_) => return state.phase.earlier_failure().map_or(Ok(()), Err),
            Phase::Saving | Phase::Busy | Phase::Released => return Ok(()),
        }
        if is_idle(&live, &state, create) {
            if then == Then::Close {
                state.phase = Phase::Released;
            }
            return Ok(());
        }
        // A tombstone was read: the cookie of a new session would overwrite that of the moved one.
        if state.stored.is_none() && state.found == LoadState::Moved {
            let message = "the session's id was replaced by another request; retry with the new one";
            let error = Error::new(ErrorKind::Gone, message).during("release");
            return Err(state.failed(error));
        }
        state.phase = if then == Then::KeepOpen { Phase::Saving } else { Phase::Busy };
        let work = Work {
            body: state.body.clone(),
            changes: std::mem::take(&mut state.changes),
            plan: std::mem::take(&mut state.plan),
            messenger: state.messenger,
        };
        (state.stored.clone(), work)
    };
    let guard = PanicGuard(&live);
    let outcome = if limit::applies(&live.shared, stored.as_deref(), &work.plan) {
        Box::pin(limit::sign_in(&live, stored, &whole, &mut work)).await
    } else if let Some(stored) = stored {
        replace(&live.shared, &whole, stored, &mut work).await
    } else {
        begin(&live, &whole, &mut work).await
    };
    let outcome = match outcome {
        Ok(stored) if then == Then::KeepOpen => resume(&live, stored),
        Ok(stored) => {
            let mut state = live.state();
            state.phase = Phase::Released;
            state.show(Some(stored));
            Ok(())
        }
        Err(error) => Err(live.state().failed(error)),
    };
    std::mem::forget(guard);
    outcome
}

/// Continues with the stored record, and with the changes that were made since the save began.
pub(super) fn resume(live: &Live, stored: Arc<Stored>) -> Result<()> {
    let mut body = stored.record.body.clone();
    let mut changes = Vec::new();
    loop {
        let mut state = live.state();
        let mut newer = std::mem::take(&mut state.changes);
        if newer.is_empty() || state.closed {
            state.phase = if state.closed { Phase::Released } else { Phase::Active };
            let plan = std::mem::take(&mut state.plan);
            state.show(Some(stored));
            if !state.closed {
                (state.body, state.changes, state.plan) = (body, changes, plan);
            }
            return Ok(());
        }
        drop(state);
        // Without the lock, because the function of an `update` may read the session.
        for mut change in newer.drain(..) {
            if let Err(error) = change.apply(&mut body) {
                let mut state = live.state();
                state.show(Some(stored));
                return Err(state.failed(error.during("save")));
            }
            changes.push(change);
        }
    }
}

/// Creates a session, and ends the others that the client presented.
pub(super) async fn begin(live: &Live, whole: &Operation, work: &mut Work) -> Result<Arc<Stored>> {
    let has_others = !live.state().others.is_empty();
    let mut superseded = Vec::new();
    if has_others {
        whole.begin();
        if live.shared.capabilities.client_side {
            superseded.extend(live.state().others.iter().filter_map(|other| other.version));
        }
    }
    let created = create::create(&live.shared, whole, work.body.clone(), &work.plan, &superseded).await?;
    if has_others {
        Box::pin(end_others(live, whole)).await;
    }
    Ok(created)
}

/// Ends the other live sessions of a client that presented several, now that it has a new one, so
/// that its next request is unambiguous. A session that could not be ended makes the next request
/// ambiguous again, but does not fail this one.
async fn end_others(live: &Live, whole: &Operation) {
    let others: Vec<Other> = {
        let state = live.state();
        state.others.iter().filter(|other| !other.moved).cloned().collect()
    };
    for other in others {
        match end(&live.shared, whole, &other.id, None).await {
            Ok(was_there) => {
                if was_there {
                    let kind = EventKind::Destroyed(EndedBy::Ambiguity);
                    live.shared.events.emit(kind, &other.id, None);
                }
                live.state().others.retain(|kept| kept.id != other.id);
            }
            Err(error) => observe::still_ambiguous(&other.id, &error),
        }
    }
}

/// After a panic in an `update` function or in an engine the session is failed, not busy for ever.
pub(super) struct PanicGuard<'a>(pub &'a Live);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.phase = Phase::Failed(ErrorKind::Released);
        state.undelivered = true;
    }
}

const LOGOUT: EventKind = EventKind::Destroyed(EndedBy::Logout);

/// Ends a session; see [`Session::destroy`](crate::Session::destroy).
pub(crate) async fn destroy(live: &Arc<Live>) -> Result<()> {
    let outcome = detached(destroy_owned(Arc::clone(live))).await;
    live.state().undelivered = false;
    outcome
}

async fn destroy_owned(live: Arc<Live>) -> Result<()> {
    let whole = live.shared.operation("destroy", true);
    let _turn = live.turn(&whole).await?;
    let (before, stored, others) = {
        let mut state = live.state();
        let before = std::mem::replace(&mut state.phase, Phase::Busy);
        state.forget_changes();
        (before, state.stored.clone(), state.others.clone())
    };
    let guard = PanicGuard(&live);
    if !others.is_empty() {
        whole.begin();
    }
    let mut ended = false;
    let mut failure: Option<Error> = None;
    if let Some(stored) = &stored {
        match end(&live.shared, &whole, &stored.id, Some(stored.record.stamp())).await {
            Ok(true) => {
                ended = true;
                live.shared.events.emit(LOGOUT, &stored.id, Some(&stored.record.header));
            }
            Ok(false) if may_have_moved(&live, stored) => failure = Some(too_late()),
            Ok(false) => {}
            Err(error) => failure = Some(error),
        }
    }
    for other in &others {
        match end(&live.shared, &whole, &other.id, None).await {
            Ok(false) => {}
            Ok(true) => {
                ended = true;
                live.shared.events.emit(LOGOUT, &other.id, None);
            }
            Err(error) => failure = Some(error),
        }
    }
    std::mem::forget(guard);
    let mut state = live.state();
    if let Some(error) = failure {
        state.phase = Phase::Failed(error.kind());
        state.undelivered = true;
        return Err(error);
    }
    // A request that has logged its client out may begin a new session: a message for the next
    // page.
    let goes_on = matches!(before, Phase::Active | Phase::Failed(_))
        && !state.closed
        && state.messenger != Messenger::Nobody;
    state.phase = if goes_on { Phase::Active } else { Phase::Released };
    // The client does not know a session that this request created, so there is no cookie to
    // remove.
    state.ended |= ended && state.presented;
    state.others.clear();
    state.found = LoadState::None;
    state.show(None);
    Ok(())
}

/// Returns whether a session that was not found may still exist under another id, because the
/// handle is older than the lifetime of a tombstone.
fn may_have_moved(live: &Live, stored: &Stored) -> bool {
    let now = live.shared.now();
    let over = now >= stored.record.header.absolute;
    now >= stored.seen.after(TOMBSTONE_TTL) && !over && !live.shared.capabilities.client_side
}

fn too_late() -> Error {
    let message = "the session has ended, or its id was replaced long ago: end it by its current token, or by its owner";
    Error::new(ErrorKind::Gone, message).during("destroy")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A larger allocation costs several times as much: glibc caches only blocks up to 1,032 bytes
    /// per thread.
    #[test]
    fn the_boxed_future_of_a_release_is_small() {
        fn bytes<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        assert!(bytes(release_owned) <= 1_032, "{} bytes", bytes(release_owned));
    }
}
