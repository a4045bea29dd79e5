//! Create, replace and move, with the merge.

use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Operation, jitter, within};
use super::queue::Turn;
use crate::live::change::Change;
use crate::live::state::{Message, Plan, Stored};
use crate::manager::{Class, Shared};
use crate::provider::{Condition, Refusal, Rename, WriteOutcome};
use crate::record::{Body, Header, Record};
use crate::{Error, ErrorKind, Result, StorageId, Timestamp, Token, observe, rename};

/// What a release has to do.
pub(super) struct Work {
    pub stored: Option<Stored>,
    pub changes: Vec<Change>,
    pub plan: Plan,
}

/// What came of it.
pub(super) struct Committed {
    pub stored: Option<Stored>,
    pub message: Message,
}

pub(super) async fn commit(manager: &Shared, mut work: Work) -> Result<Committed> {
    match work.stored.take() {
        None => create(manager, work).await,
        Some(stored) => replace(manager, stored, work).await,
    }
}

/// Stores a session for the first time.
async fn create(manager: &Shared, mut work: Work) -> Result<Committed> {
    let operation = manager.operation("create", true);
    let mut body = Body::default();
    apply(&mut work.changes, &mut body).map_err(|error| operation.explain(error))?;
    let owner = work.plan.owner_after(None);
    if body.is_empty() && owner.is_none() {
        return Ok(Committed { stored: None, message: Message::Nothing });
    }
    let class = work.plan.class.unwrap_or_else(|| manager.classes.for_owner(owner.is_some()));
    let now = manager.now();
    let absolute = now.after(manager.absolute);
    let ttl = class.idle.min(manager.absolute);
    let mut header = Header::new(now, absolute, now.after(ttl));
    header.owner = owner;
    let mut record = Record::new(header, body);
    // A create whose answer was lost is tried again under another id: under the same one it could come
    // alive again after a logout that the client got in between.
    let answer = operation
        .call(async || {
            let (token, id) = manager.new_id(class)?;
            let outcome = manager.provider.write(&id, &record, Condition::Absent, ttl).await?;
            Ok((token, id, outcome))
        })
        .await?;
    let (token, id, WriteOutcome::Stored(stored)) = answer.value else {
        return Err(operation.explain(Error::new(ErrorKind::Conflict, "the id that was drawn is taken")));
    };
    record.cas = stored.cas;
    let (token, id) = manager.named(stored.token, token, id);
    observe::created(&id);
    let message = Message::Hold(token.clone());
    Ok(Committed { stored: Some(Stored { token, id, class, record }), message })
}

/// Stores a session over the record that was read.
async fn replace(manager: &Shared, stored: Stored, mut work: Work) -> Result<Committed> {
    let operation = manager.operation(if work.plan.regenerate { "regenerate" } else { "release" }, true);
    let mut base = stored.record.clone();
    let mut turn: Option<Turn<'_>> = None;
    let mut backoff = Backoff::default();
    loop {
        let now = manager.now();
        if now >= base.header.absolute {
            return Err(operation.explain(Error::new(ErrorKind::Expired, "its absolute deadline has passed")));
        }
        let mut next =
            Next::over(manager, &stored, &base, &mut work, now).map_err(|error| operation.explain(error))?;
        // A client-side record slides by being issued again; elsewhere a touch moves the deadline.
        let reissue = manager.capabilities.client_side && manager.must_touch(&stored);
        if !(next.changed || reissue) {
            touch(manager, &stored, &mut base, now).await;
            return Ok(Committed {
                stored: Some(Stored { record: base, ..stored }),
                message: Message::Nothing,
            });
        }
        let refusal = match next.store(manager, &operation, &stored, &base).await? {
            Outcome::Stored { token, id } => {
                if let Some(turn) = &mut turn {
                    turn.stored(&next.record);
                }
                let message =
                    if token == stored.token { Message::Nothing } else { Message::Hold(token.clone()) };
                let stored = Stored { token, id, class: next.class, record: next.record };
                return Ok(Committed { stored: Some(stored), message });
            }
            Outcome::Refused(refusal) => refusal,
        };
        base = newer(manager, &operation, &stored, &base, refusal)?;
        observe::conflict(&stored.id);
        match &turn {
            None => {
                let next_turn = within(operation.end(), manager.queue.turn(&stored.id)).await;
                let next_turn = next_turn.ok_or_else(|| contention(&operation))?;
                base = next_turn.newer_than(&base).unwrap_or(base);
                turn = Some(next_turn);
            }
            Some(_) => backoff.wait(operation.end()).await,
        }
        if operation.is_over() {
            return Err(contention(&operation));
        }
    }
}

fn contention(operation: &Operation) -> Error {
    operation.explain(Error::new(ErrorKind::Conflict, "others were faster until the deadline; try again"))
}

/// The record to merge with after a refusal, or why there is none.
fn newer(
    manager: &Shared,
    operation: &Operation,
    stored: &Stored,
    base: &Record,
    refusal: Refusal,
) -> Result<Record> {
    let kind = match refusal.current {
        Some(current) if current.is_live() => {
            // All writes since the one we read are on the list, and ours is not: it was not applied.
            if !refusal.resent || current.header.has_version(base.header.version()) {
                return Ok(*current);
            }
            ErrorKind::OutcomeUnknown
        }
        _ if manager.now() >= stored.record.header.deadline => ErrorKind::Expired,
        _ => ErrorKind::Gone,
    };
    Err(operation.explain(Error::new(kind, "")))
}

/// The next record of a session.
struct Next {
    record: Record,
    class: Class,
    ttl: Duration,
    changed: bool,
    renew: bool,
}

enum Outcome {
    Stored { token: Token, id: StorageId },
    Refused(Refusal),
}

impl Next {
    fn over(
        manager: &Shared,
        stored: &Stored,
        base: &Record,
        work: &mut Work,
        now: Timestamp,
    ) -> Result<Self> {
        let mut body = base.body.clone();
        apply(&mut work.changes, &mut body)?;
        let owner = work.plan.owner_after(base.header.owner);
        let class = work.plan.class.unwrap_or_else(|| manager.classes.after(stored.class, owner.is_some()));
        let renew = work.plan.regenerate || class != stored.class;
        let changed = renew || owner != base.header.owner || body != base.body;
        if changed {
            manager.limits.check(body.len(), body.bytes())?;
        }
        let ttl = class.idle.min(base.header.absolute.since(now));
        let mut header = base.header.next();
        header.deadline = now.after(ttl);
        header.owner = owner;
        Ok(Self { record: Record::new(header, body), class, ttl, changed, renew })
    }

    async fn store(
        &mut self,
        manager: &Shared,
        operation: &Operation,
        stored: &Stored,
        base: &Record,
    ) -> Result<Outcome> {
        if self.renew && !manager.capabilities.client_side {
            return self.move_to_new_id(manager, operation, stored, base).await;
        }
        let answer = operation
            .call(|| {
                manager.provider.write(&stored.id, &self.record, Condition::Over(base.stamp()), self.ttl)
            })
            .await?;
        let outcome = self.settle(answer.value, answer.repeated);
        Ok(self.named(manager, outcome, stored.token.clone(), stored.id.clone()))
    }

    async fn move_to_new_id(
        &mut self,
        manager: &Shared,
        operation: &Operation,
        stored: &Stored,
        base: &Record,
    ) -> Result<Outcome> {
        let (token, id) = manager.new_id(self.class)?;
        let tombstone = rename::tombstone(base, &id, manager.now());
        let arguments = Rename::new((&stored.id, base.stamp()), (&id, &self.record, self.ttl), &tombstone);
        let answer = operation.call(|| manager.provider.rename(&arguments)).await?;
        let outcome = self.settle(answer.value, answer.repeated);
        if matches!(outcome, WriteOutcome::Stored(_)) {
            observe::regenerated(&stored.id, &id);
        }
        Ok(self.named(manager, outcome, token, id))
    }

    /// A refusal that shows this very write is the echo of one that was applied.
    fn settle(&self, outcome: WriteOutcome, repeated: bool) -> WriteOutcome {
        match outcome {
            WriteOutcome::Refused(mut refusal) => {
                let current = refusal.current.as_deref();
                if let Some(current) = current.filter(|c| c.header.has_version(self.record.header.version()))
                {
                    return WriteOutcome::stored_with_cas(current.cas);
                }
                refusal.resent |= repeated;
                WriteOutcome::Refused(refusal)
            }
            WriteOutcome::Stored(_) => outcome,
        }
    }

    fn named(&mut self, manager: &Shared, outcome: WriteOutcome, token: Token, id: StorageId) -> Outcome {
        match outcome {
            WriteOutcome::Stored(done) => {
                self.record.cas = done.cas;
                let (token, id) = manager.named(done.token, token, id);
                Outcome::Stored { token, id }
            }
            WriteOutcome::Refused(refusal) => Outcome::Refused(refusal),
        }
    }
}

fn apply(changes: &mut [Change], body: &mut Body) -> Result<()> {
    changes.iter_mut().try_for_each(|change| change.apply(body))
}

/// Moves the idle deadline of an unchanged session, when that is due. A request that only read is not failed by it.
async fn touch(manager: &Shared, stored: &Stored, base: &mut Record, now: Timestamp) {
    if !manager.must_touch(stored) {
        return;
    }
    let ttl = stored.class.idle.min(base.header.absolute.since(now));
    let operation = manager.operation("touch", false);
    match operation.call(|| manager.provider.touch(&stored.id, base, ttl)).await {
        Ok(answer) if answer.value => base.header.deadline = now.after(ttl),
        Ok(_) => {}
        Err(error) => observe::not_touched(&stored.id, &error),
    }
}

/// Waits that grow, from a millisecond to a twentieth of a second.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    async fn wait(&mut self, until: Instant) {
        let around = Duration::from_millis(1 << self.0.min(6)).min(Duration::from_millis(50));
        self.0 += 1;
        tokio::time::sleep_until((Instant::now() + jitter(around)).min(until)).await;
    }
}
