//! The limit on how many sessions a user may have at once.
//!
//! A sign-in is stored first and counted after it: of sign-ins that run at the same time, the last to count sees all
//! of them, so that the limit holds when they have been answered.

use std::sync::Arc;

use super::accounts::{end_one, handle_of, list};
use super::end;
use super::release::begin;
use super::replace::{Work, replace};
use crate::live::{Live, NewOwner, Plan, Stored};
use crate::provider::Listed;
use crate::record::{Handle, Owner};
use crate::shared::{Begun, Excess, Operation, PerOwner, Shared, with_deadline};
use crate::{EndedBy, Error, ErrorKind, EventKind, Result, StorageId, Timestamp};

const PAGE: usize = 100;

/// Whether a commit signs in a user whose number of sessions is limited.
pub(super) fn applies(shared: &Shared, before: Option<&Stored>, plan: &Plan) -> bool {
    let owner = plan.owner_after(None);
    let before = before.and_then(|stored| stored.record.header.owner);
    shared.per_owner.is_some() && owner.is_some() && before != owner
}

/// Stores a sign-in of a user whose number of sessions is limited, and holds the limit.
pub(super) async fn sign_in(
    live: &Live,
    before: Option<Arc<Stored>>,
    whole: &Operation,
    work: &mut Work,
) -> Result<Arc<Stored>> {
    let shared = &live.shared;
    let (Some(limit), Some(owner)) = (shared.per_owner, work.plan.owner_after(None)) else {
        return store(live, whole, before, work).await;
    };
    whole.begin();
    let counter = Counter { shared, whole, limit, owner };
    let was_there = before.is_some();
    if limit.excess == Excess::EndOldest {
        let stored = store(live, whole, before, work).await?;
        let held = counter.newest(Some(handle_of(&stored.id, &stored.record))).await;
        return held.map(|_| Arc::clone(&stored)).inspect_err(|_| live.state().show(Some(stored)));
    }
    // Sign-ins of one process come one after the other, so that none is refused for another that is refused as well.
    let place = StorageId::from_hash(owner.0);
    let turn = with_deadline(Begun::No, || whole.end(), shared.queue.turn(&place)).await;
    let _turn = turn.ok_or_else(|| whole.part("sign_in", false).timed_out())?;
    if counter.newest(None).await?.len() >= limit.sessions {
        return Err(counter.refused());
    }
    let stored = store(live, whole, before, work).await?;
    let error = match counter.newest(None).await {
        Ok(newest) if newest.len() <= limit.sessions => return Ok(stored),
        Ok(_) => counter.refused(),
        Err(error) => error,
    };
    // A sign-in of another process was counted as well, or nothing can be said.
    let undone = if was_there {
        take_back(shared, whole, Arc::clone(&stored)).await.map(Some)
    } else {
        end(shared, whole, &stored.id, Some(stored.record.stamp())).await.map(|_| None)
    };
    let (left, error) = match undone {
        Ok(left) => (left, error),
        Err(error) => (Some(stored), error),
    };
    live.state().show(left);
    Err(error)
}

async fn store(
    live: &Live,
    whole: &Operation,
    before: Option<Arc<Stored>>,
    work: &mut Work,
) -> Result<Arc<Stored>> {
    match before {
        Some(before) => replace(&live.shared, whole, before, work).await,
        None => begin(live, whole, work).await,
    }
}

struct Counter<'a> {
    shared: &'a Shared,
    whole: &'a Operation,
    limit: PerOwner,
    owner: Owner,
}

impl Counter<'_> {
    fn refused(&self) -> Error {
        let message = format!(
            "the user is signed in {} times, which is the limit: end another session first",
            self.limit.sessions
        );
        Error::new(ErrorKind::TooManySessions, message).during("sign_in")
    }

    /// The newest sessions of the owner, up to one more than allowed. With a session to keep, ends the oldest of the others
    /// until no more than allowed are left.
    async fn newest(&self, keep: Option<Handle>) -> Result<Vec<(Timestamp, Handle, Listed)>> {
        let operation = self.whole.part("sign_in", false);
        let allowed = self.limit.sessions;
        let mut newest = Vec::new();
        let mut after = None;
        loop {
            let page = list(self.shared, &operation, &self.owner, after.as_ref(), PAGE).await?;
            newest.extend(page.sessions.into_iter().map(|listed| {
                let header = &listed.record.header;
                let since = header.account().map_or(header.created, |account| account.authenticated);
                (since, handle_of(&listed.id, &listed.record), listed)
            }));
            // The one that is kept is newer than all others, whatever its clock says.
            newest.sort_by_key(|(since, handle, _)| {
                std::cmp::Reverse((keep == Some(*handle), *since, *handle))
            });
            let excess = newest.split_off(newest.len().min(allowed + usize::from(keep.is_none())));
            let by = EventKind::Destroyed(EndedBy::Limit);
            if keep.is_some() {
                for (_, _, listed) in &excess {
                    end_one(self.shared, &operation, &self.owner, listed, by).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(newest);
            }
        }
    }
}

/// Takes the owner away again from a session whose sign-in was refused after it was stored: the visitor goes on.
async fn take_back(shared: &Arc<Shared>, whole: &Operation, stored: Arc<Stored>) -> Result<Arc<Stored>> {
    let plan = Plan { owner: NewOwner::new(None), ..Plan::default() };
    let mut work = Work { body: stored.record.body.clone(), changes: Vec::new(), plan };
    replace(shared, whole, stored, &mut work).await
}
