//! The limit on how many sessions a user may have at once.
//!
//! A sign-in is stored first and counted afterwards: of concurrent sign-ins, the last one to count
//! sees all of them, so the limit holds once all are answered.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::{end_one, handle_of, list};
use super::end;
use super::release::begin;
use super::replace::{Work, replace};
use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::live::{Live, Messenger, NewOwner, Plan, Stored};
use crate::provider::Listed;
use crate::record::{Handle, Owner, Record};
use crate::shared::{Begun, EndedBy, EventKind, Excess, Operation, PerOwner, Shared, Turn, with_deadline};
use crate::{Error, ErrorKind, Result};

const PAGE: usize = 100;
/// Sign-ins at most this far apart count as simultaneous; it is also the tolerated difference
/// between the clocks of processes.
const AT_THE_SAME_TIME: Duration = Duration::from_secs(10);

/// Returns whether a commit signs in a user whose number of sessions is limited.
pub(super) fn applies(shared: &Shared, before: Option<&Stored>, plan: &Plan) -> bool {
    let owner = plan.owner_after(None);
    let before = before.and_then(|stored| stored.record.header.owner);
    shared.per_owner.is_some() && owner.is_some() && before != owner
}

/// Stores a sign-in of a user whose number of sessions is limited, and enforces the limit.
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
    // Where excess sign-ins are refused, those of one process run one at a time. Otherwise two
    // could each count the other, and both would be refused.
    let _turn = match limit.excess {
        Excess::Refuse => Some(counter.turn().await?),
        Excess::EndOldest => None,
    };
    if limit.excess == Excess::Refuse && counter.count().await? >= limit.sessions {
        return Err(counter.refused());
    }
    let stored = store(live, whole, before, work).await?;
    let holds = match limit.excess {
        Excess::EndOldest => counter.end_oldest(&stored).await,
        Excess::Refuse => counter.count().await.map(|sessions| sessions <= limit.sessions),
    };
    let error = match holds {
        Ok(true) => return Ok(stored),
        Ok(false) => counter.refused(),
        Err(error) => error,
    };
    // The limit was exceeded by concurrent sign-ins, or could not be checked.
    let undone = if was_there {
        take_back(shared, whole, Arc::clone(&stored), work.messenger).await.map(Some)
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

impl<'a> Counter<'a> {
    /// Waits until no other sign-in of this owner is under way in this process.
    async fn turn(&self) -> Result<Turn<'a>> {
        let key = StorageId::from_hash(self.owner.0);
        let turn = with_deadline(Begun::No, || self.whole.end(), self.shared.queue.turn(&key)).await;
        turn.ok_or_else(|| self.whole.part("sign_in", false).timed_out())
    }

    fn refused(&self) -> Error {
        let message = format!(
            "the user has {} sessions, which is the limit: end one of them first",
            self.limit.sessions
        );
        Error::new(ErrorKind::TooManySessions, message).during("sign_in")
    }

    /// Counts the owner's sessions. The exact number does not matter once it exceeds the limit.
    async fn count(&self) -> Result<usize> {
        let operation = self.whole.part("sign_in", false);
        let (mut sessions, mut after) = (0, None);
        loop {
            let page = list(self.shared, &operation, &self.owner, after.as_ref(), PAGE).await?;
            sessions += page.sessions.len();
            after = page.next;
            if after.is_none() || sessions > self.limit.sessions {
                return Ok(sessions);
            }
        }
    }

    /// Ends the oldest sessions until no more than allowed are left, and returns whether this one
    /// is left. Concurrent sign-ins order the sessions alike, so they do not end each other.
    async fn end_oldest(&self, own: &Stored) -> Result<bool> {
        let operation = self.whole.part("sign_in", false);
        let own = (since(&own.record), handle_of(&own.id, &own.record));
        let mut newest: Vec<((Timestamp, Handle), Listed)> = Vec::new();
        let mut after = None;
        loop {
            let page = list(self.shared, &operation, &self.owner, after.as_ref(), PAGE).await?;
            newest.extend(page.sessions.into_iter().map(|listed| {
                let order = (since(&listed.record), handle_of(&listed.id, &listed.record));
                // A session that seems to be much newer was stamped by another clock, and is older.
                let is_of_another_clock = order.0.since(own.0) > AT_THE_SAME_TIME;
                (if is_of_another_clock { (own.0, Handle([0; 16])) } else { order }, listed)
            }));
            newest.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
            for (order, listed) in newest.split_off(newest.len().min(self.limit.sessions)) {
                if order == own {
                    return Ok(false);
                }
                let by = EventKind::Destroyed(EndedBy::Limit);
                end_one(self.shared, &operation, &self.owner, &listed, by).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(true);
            }
        }
    }
}

/// Returns the time when the owner of a session signed in.
fn since(record: &Record) -> Timestamp {
    record.header.account().map_or(record.header.created, |account| account.authenticated)
}

/// Takes the owner away again from a session whose sign-in was refused after it was stored: the
/// visitor goes on.
async fn take_back(
    shared: &Arc<Shared>,
    whole: &Operation,
    stored: Arc<Stored>,
    messenger: Messenger,
) -> Result<Arc<Stored>> {
    let plan = Plan { owner: Some(Box::new(NewOwner::new(None))), ..Plan::default() };
    let mut work = Work { body: stored.record.body.clone(), changes: Vec::new(), plan, messenger };
    replace(shared, whole, stored, &mut work).await
}
