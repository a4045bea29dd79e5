//! Takes values that only one request may have: immediately, and separately from the request's
//! other changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smol_str::SmolStr;

use super::detach::detached;
use super::release::{PanicGuard, resume};
use super::replace::{Work, replace};
use crate::live::{Change, Live, Phase, Plan};
use crate::{ErrorKind, Result};

/// Removes these keys from the stored session, and returns for each whether this request removed
/// it.
///
/// One write, one more for each conflict. A session that has ended meanwhile has nothing left to
/// take, which is not an error. After any other error of the engine the request continues as if it
/// had not asked for the values.
pub(crate) async fn claim(live: &Arc<Live>, keys: &[SmolStr]) -> Result<Vec<bool>> {
    let outcome = detached(claim_owned(Arc::clone(live), keys.to_vec())).await;
    live.state().undelivered = false;
    outcome
}

async fn claim_owned(live: Arc<Live>, keys: Vec<SmolStr>) -> Result<Vec<bool>> {
    let whole = live.shared.operation("take_flash", true);
    let _turn = live.turn(&whole).await?;
    let (stored, messenger) = {
        let mut state = live.state();
        state.must_be_active("take_flash")?;
        // This request has ended the session.
        let Some(stored) = state.stored.clone() else { return Ok(vec![false; keys.len()]) };
        state.phase = Phase::Saving;
        (stored, state.messenger)
    };
    let guard = PanicGuard(&live);
    let mut body = stored.record.body.clone();
    let claims: Vec<_> =
        keys.iter().map(|key| (key.clone(), Arc::new(AtomicBool::new(body.remove(key))))).collect();
    let changes = claims.iter().map(|(key, won)| Change::Claim(key.clone(), Arc::clone(won))).collect();
    let mut work = Work { body, changes, plan: Plan::default(), messenger };
    let outcome = match replace(&live.shared, &whole, stored, &mut work).await {
        Ok(newest) => resume(&live, newest)
            .map(|()| claims.iter().map(|(_, won)| won.load(Ordering::Relaxed)).collect()),
        Err(error) => {
            reactivate(&live);
            match error.kind() {
                ErrorKind::Gone | ErrorKind::Expired => Ok(vec![false; keys.len()]),
                _ => Err(error),
            }
        }
    };
    std::mem::forget(guard);
    outcome
}

/// Makes the session active again, and leaves the request's other changes to its release.
fn reactivate(live: &Live) {
    let mut state = live.state();
    state.phase = if state.closed { Phase::Released } else { Phase::Active };
    if state.closed {
        state.forget_changes();
    }
}
