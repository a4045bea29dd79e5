//! Reads a session again under a handle that the application already has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::find::{Trust, find};
use super::release::PanicGuard;
use crate::live::{Live, LoadState, Messenger, Phase, Stored};
use crate::shared::Operation;
use crate::{Error, ErrorKind, Result};

/// Drops unsaved changes and shows the session as it is now; see
/// [`Session::reload`](crate::Session::reload).
pub(crate) async fn reload(live: &Arc<Live>) -> Result<()> {
    let whole = live.shared.operation("reload", false);
    let _turn = live.turn(&whole).await?;
    let session = newest(live, &whole, "reload").await?;
    let mut state = live.state();
    state.show(session);
    state.closed = false;
    if state.messenger == Messenger::Response && !live.in_request.load(Ordering::Relaxed) {
        state.messenger = Messenger::Nobody;
    }
    // The client could not use a session whose token it does not learn.
    let needs_token = state.stored.is_none() || live.shared.capabilities.client_side;
    let is_deliverable = state.messenger != Messenger::Nobody || !needs_token;
    state.phase = if is_deliverable { Phase::Active } else { Phase::Released };
    (state.undelivered, state.lost) = (false, false);
    Ok(())
}

/// Shows the session as it is now with the unsaved changes on top; see
/// [`Session::fresh`](crate::Session::fresh).
pub(crate) async fn fresh(live: &Arc<Live>) -> Result<()> {
    let whole = live.shared.operation("fresh", false);
    let _turn = live.turn(&whole).await?;
    live.state().must_be_active("fresh")?;
    match newest(live, &whole, "fresh").await? {
        Some(session) => change_anew(live, session),
        None => Ok(()),
    }
}

/// Applies the changes of a handle to a newer record. The caller holds the gate.
fn change_anew(live: &Live, session: Arc<Stored>) -> Result<()> {
    let mut body = session.record.body.clone();
    let (mut applied, mut outcome) = (Vec::new(), Ok(()));
    {
        let mut state = live.state();
        state.must_be_active("fresh")?;
        // Until this function ends, so that a release does not consider the session unchanged.
        state.phase = Phase::Saving;
    }
    let guard = PanicGuard(live);
    loop {
        let mut changes = {
            let mut state = live.state();
            if state.changes.is_empty() || outcome.is_err() {
                std::mem::forget(guard);
                applied.append(&mut state.changes);
                state.changes = applied;
                state.phase = Phase::Active;
                if outcome.is_ok() {
                    (state.body, state.stored) = (body, Some(session));
                }
                if state.closed {
                    state.phase = Phase::Released;
                    state.forget_changes();
                }
                return outcome;
            }
            std::mem::take(&mut state.changes)
        };
        // Without the lock, because the function of an `update` may read the session. The changes
        // that it makes are applied in the next round.
        outcome = changes
            .iter_mut()
            .try_for_each(|change| change.apply(&mut body))
            .and_then(|()| live.shared.limits.check(body.len(), body.bytes()))
            .map_err(|error| error.during("fresh"));
        applied.append(&mut changes);
    }
}

/// Reads the session of a handle from the engine; `None` if it was never stored.
async fn newest(live: &Live, whole: &Operation, operation: &'static str) -> Result<Option<Arc<Stored>>> {
    let Some(token) = live.state().stored.as_ref().map(|stored| stored.token.clone()) else {
        return Ok(None);
    };
    let found = find(&live.shared, whole, std::iter::once(&token), Trust::Handle).await?;
    if found.session.is_none() {
        let message = match found.state {
            LoadState::Moved => "its id was replaced",
            _ => "it has ended or expired",
        };
        return Err(Error::new(ErrorKind::Gone, message).during(operation));
    }
    Ok(found.session)
}
