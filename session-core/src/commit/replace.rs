//! Stores a session over the record that was read, and merges after a conflict.

use std::pin::Pin;
use std::sync::Arc;

use super::classify::{Ending, Meaning, classify};
use super::find::Presented;
use super::merge::{Merging, merged};
use super::next::Next;
use super::{find, relocate, slide};
use crate::clock::Timestamp;
use crate::id::{StorageId, Token};
use crate::live::{Change, Messenger, Plan, Stored};
use crate::provider::{Condition, Rename, WriteOutcome};
use crate::record::{Body, Record, State};
use crate::shared::{Answer, Operation, Shared};
use crate::{Error, ErrorKind, Result};

/// The work of a release.
pub(super) struct Work {
    /// The body that the handler saw at its end: the stored body with the changes applied.
    pub body: Body,
    /// The same changes, to be applied to a newer body after a conflict.
    pub changes: Vec<Change>,
    pub plan: Plan,
    pub messenger: Messenger,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.plan.is_empty()
    }
}

/// The result of one attempt.
pub(super) enum Attempt {
    /// The next record is stored under this token and id; it now has the engine's compare token.
    Stored { token: Token, id: StorageId },
    /// Another request stored this record first.
    Superseded(Box<Record>),
    /// There is no record left under the session's id to write over.
    Ended(Ending),
}

/// Stores a session over the record that was read. One write, one more for each conflict.
pub(super) async fn replace(
    shared: &Arc<Shared>,
    whole: &Operation,
    mut stored: Arc<Stored>,
    work: &mut Work,
) -> Result<Arc<Stored>> {
    if work.is_empty() {
        return Ok(Box::pin(slide::slide(shared, whole, stored, work.messenger)).await);
    }
    let operation = whole.part(if work.plan.regenerate { "regenerate" } else { "release" }, true);
    // The base of the next attempt, if it is not the record that was read: the one that a refusal
    // carried.
    let mut newer: Option<Box<Record>> = None;
    let mut merging = Merging::default();
    loop {
        let base = newer.as_deref().unwrap_or(&stored.record);
        let now = shared.now();
        must_go_on(shared, base, now).map_err(|error| operation.explain(error))?;
        let body = match &newer {
            None => work.body.clone(),
            Some(newer) => {
                merged(shared, newer, &mut work.changes).map_err(|error| operation.explain(error))?
            }
        };
        let mut next = Next::over(shared, &stored, base, body, (&work.plan, work.messenger), now);
        if next.renew && work.messenger == Messenger::Nobody {
            return Err(operation.explain(undeliverable_id()));
        }
        let attempt = if next.changed {
            store(shared, &operation, &stored, base, &mut next).await?
        } else if let Some(newest) = newer {
            return Ok(Arc::new(with_record(&stored, *newest, now)));
        } else {
            whole.begin();
            match Box::pin(changed_meanwhile(shared, whole, &stored)).await? {
                Some(attempt) => attempt,
                None => return Ok(Box::pin(slide::slide(shared, whole, stored, work.messenger)).await),
            }
        };
        match attempt {
            Attempt::Stored { token, id } => {
                merging.stored(&id, &next.record);
                return Ok(Arc::new(Stored { token, id, class: next.class, record: next.record, seen: now }));
            }
            Attempt::Superseded(found) => {
                newer = Some(Box::pin(merging.wait(shared, &operation, &stored.id, found)).await?);
            }
            Attempt::Ended(ending) => {
                // An id that was renewed automatically still leads to its session for a while.
                let followed = Box::pin(follow(shared, &operation, &stored, &ending)).await?;
                stored = followed.ok_or_else(|| ended(shared, &operation, &stored, &ending))?;
                newer = Some(Box::new(stored.record.clone()));
            }
        }
    }
}

async fn follow(
    shared: &Shared,
    operation: &Operation,
    stored: &Stored,
    ending: &Ending,
) -> Result<Option<Arc<Stored>>> {
    match ending {
        Ending::Moved(to) => {
            find::follow(shared, operation, &stored.token, stored.class, to, &Presented::Handle).await
        }
        Ending::Gone => Ok(None),
    }
}

/// Returns the same session with another record.
pub(super) fn with_record(stored: &Stored, record: Record, seen: Timestamp) -> Stored {
    let Stored { token, id, class, .. } = stored;
    Stored { token: token.clone(), id: id.clone(), class: *class, record, seen }
}

/// Fails if the deadline of a record has passed.
fn must_go_on(shared: &Shared, base: &Record, now: Timestamp) -> Result<()> {
    if now >= base.header.absolute {
        return Err(Error::new(ErrorKind::Expired, "its absolute deadline has passed"));
    }
    // No engine expires a record that the client holds.
    if shared.capabilities.client_side && now >= base.header.deadline {
        return Err(Error::new(ErrorKind::Expired, "its idle deadline has passed"));
    }
    Ok(())
}

/// Checks whether the session was written meanwhile, for a request whose changes lead to the body
/// that it has read: they count if there was a write in between, and are not worth a write
/// otherwise. One read.
async fn changed_meanwhile(shared: &Shared, whole: &Operation, stored: &Stored) -> Result<Option<Attempt>> {
    if shared.capabilities.client_side {
        return Ok(None);
    }
    let operation = whole.part("release", false);
    let found = operation.call(|| shared.provider.read_now(&stored.id, stored.class.idle)).await?.value;
    let Some(record) = found else { return Ok(Some(Attempt::Ended(Ending::Gone))) };
    Ok(match &record.header.state {
        State::Moved(to) => Some(Attempt::Ended(Ending::Moved(to.clone()))),
        State::Live if record.header.version() == stored.record.header.version() => None,
        State::Live => Some(Attempt::Superseded(Box::new(record))),
    })
}

/// Makes one attempt to store the next record.
pub(super) async fn store(
    shared: &Shared,
    operation: &Operation,
    stored: &Stored,
    base: &Record,
    next: &mut Next,
) -> Result<Attempt> {
    if next.renew && !shared.capabilities.client_side {
        return Box::pin(relocate::relocate(shared, operation, stored, base, next)).await;
    }
    let answer = match at_once(shared, operation, stored, base, next) {
        Some(answer) => answer,
        None => Box::pin(operation.call(|| write(shared, stored, base, next))).await?,
    };
    let own = [next.record.header.version()];
    let done = match classify(answer.value, &own, Some(base.header.version()), answer.repeated) {
        Meaning::Applied { current, stored: done } => {
            // The version and the compare token must be those of one record: of the newest one, or
            // of ours without a compare token if the session has moved.
            match current.filter(|current| current.is_live()) {
                Some(current) => next.record = *current,
                None => next.record.cas = done.cas,
            }
            done
        }
        Meaning::Superseded(newer) => return Ok(Attempt::Superseded(newer)),
        Meaning::Ended(ending) => return Ok(Attempt::Ended(ending)),
        Meaning::Unknown => return Err(operation.explain(Error::new(ErrorKind::OutcomeUnknown, ""))),
    };
    let (token, id) = shared.named(done.token, stored.token.clone(), stored.id.clone());
    Ok(Attempt::Stored { token, id })
}

/// Writes synchronously, if the engine can.
fn at_once(
    shared: &Shared,
    operation: &Operation,
    stored: &Stored,
    base: &Record,
    next: &Next,
) -> Option<Answer<WriteOutcome>> {
    let engine = shared.provider.as_immediate().filter(|_| !next.renew)?;
    let over = Condition::Over(base.stamp());
    operation.at_once(|| engine.write_at_once(&stored.id, &next.record, over, next.ttl))
}

type Writing<'a> = Pin<Box<dyn Future<Output = Result<WriteOutcome>> + Send + 'a>>;

/// Calls the engine to store a record under the session's id. Where the client holds the record,
/// each write gets a new token, as a rename does.
fn write<'a>(shared: &'a Shared, stored: &'a Stored, base: &Record, next: &'a Next) -> Writing<'a> {
    let (record, ttl, stamp) = (&next.record, next.ttl, base.stamp());
    if !next.renew {
        return shared.provider.write(&stored.id, record, Condition::Over(stamp), ttl);
    }
    Box::pin(async move {
        let rename = Rename::new((&stored.id, stamp), (&stored.id, record, ttl), record);
        shared.provider.rename(&rename).await
    })
}

/// The error of a new id that would log its client out.
fn undeliverable_id() -> Error {
    let message = "the response has left, and the client cannot learn of a new id: change it in a request";
    Error::new(ErrorKind::Released, message)
}

/// The error of a request whose session is over.
fn ended(shared: &Shared, operation: &Operation, stored: &Stored, ending: &Ending) -> Error {
    let expired = *ending == Ending::Gone && shared.now() >= stored.record.header.deadline;
    let kind = if expired { ErrorKind::Expired } else { ErrorKind::Gone };
    operation.explain(Error::new(kind, ""))
}
