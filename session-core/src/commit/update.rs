//! Create, replace and move, with the merge.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Operation, jitter, within};
use super::queue::Turn;
use crate::live::change::Change;
use crate::live::state::{Message, Plan, Stored};
use crate::manager::{Class, Shared};
use crate::provider::{Condition, Refusal, Rename, WriteOutcome};
use crate::record::{Body, Header, Record, State};
use crate::{Error, ErrorKind, Result, StorageId, Timestamp, Token, observe, rename};

/// What a release has to do.
pub(super) struct Work {
    /// What the handler saw at the end: the stored body with the changes applied.
    pub body: Body,
    /// The changes again, to be applied to a newer body.
    pub changes: Vec<Change>,
    pub plan: Plan,
}

/// What came of it.
pub(super) struct Committed {
    pub stored: Option<Arc<Stored>>,
    pub message: Message,
}

/// Stores a session for the first time.
pub(super) async fn create(manager: &Shared, body: Body, plan: &Plan) -> Result<Committed> {
    let owner = plan.owner_after(None);
    if body.is_empty() && owner.is_none() {
        return Ok(Committed { stored: None, message: Message::Nothing });
    }
    let class = plan.class.unwrap_or_else(|| manager.classes.for_owner(owner.is_some()));
    let now = manager.now();
    let absolute = now.after(manager.absolute);
    let ttl = class.idle.min(manager.absolute);
    let mut header = Header::new(now, absolute, now.after(ttl));
    header.owner = owner;
    let mut record = Record::new(header, body);
    let operation = manager.operation("create", true);
    // A create whose answer was lost is tried again under another id: under the same one it could come
    // alive again after a logout that the client got in between.
    let first = OnceLock::new();
    let attempt = async || {
        let (token, id) = manager.new_id(class)?;
        first.get_or_init(|| id.clone());
        let outcome = manager.provider.write(&id, &record, Condition::Absent, ttl).await?;
        Ok((token, id, outcome))
    };
    let answer = operation.call(|| Box::pin(attempt())).await?;
    let (token, id, WriteOutcome::Stored(stored)) = answer.value else {
        return Err(operation.explain(Error::new(ErrorKind::Conflict, "the id that was drawn is taken")));
    };
    if answer.repeated {
        Box::pin(withdraw(manager, &operation, first.get().filter(|first| **first != id))).await;
    }
    record.cas = stored.cas;
    let (token, id) = manager.named(stored.token, token, id);
    observe::created(&id);
    let message = Message::Hold(token.clone());
    Ok(Committed { stored: Some(Arc::new(Stored { token, id, class, record })), message })
}

/// Stores a session over the record that was read.
pub(super) async fn replace(manager: &Shared, stored: Arc<Stored>, work: &mut Work) -> Result<Committed> {
    let operation = manager.operation(if work.plan.regenerate { "regenerate" } else { "release" }, true);
    // What to build on: the record that was read or, after a refusal, the one that was found instead.
    let mut newer: Option<Box<Record>> = None;
    let mut merging = Merging::default();
    loop {
        let base = newer.as_deref().unwrap_or(&stored.record);
        let now = manager.now();
        match ends_later(manager, base, now) {
            // Which does not concern a request that only read.
            Err(_) if work.changes.is_empty() && work.plan.is_empty() => {
                return Ok(Committed { stored: Some(stored), message: Message::Nothing });
            }
            ended => ended.map_err(|error| operation.explain(error))?,
        }
        let body = match &newer {
            None => work.body.clone(),
            Some(newer) => {
                merged(manager, newer, &mut work.changes).map_err(|error| operation.explain(error))?
            }
        };
        let mut next = Next::over(manager, &stored, base, body, &work.plan, now);
        if !next.changed {
            return Ok(Box::pin(slide(manager, stored, newer, next, now)).await);
        }
        let refusal = match next.store(manager, &operation, &stored, base).await? {
            Outcome::Stored { token, id } => {
                merging.stored(&next.record);
                let message =
                    if token == stored.token { Message::Nothing } else { Message::Hold(token.clone()) };
                let stored = Arc::new(Stored { token, id, class: next.class, record: next.record });
                return Ok(Committed { stored: Some(stored), message });
            }
            Outcome::Refused(refusal) => refusal,
        };
        let found = what_is_newer(manager, &operation, &stored, base, refusal)?;
        newer = Some(Box::pin(merging.wait(manager, &operation, &stored.id, found)).await?);
    }
}

/// Refuses to build on a record whose time is over.
fn ends_later(manager: &Shared, base: &Record, now: Timestamp) -> Result<()> {
    if now >= base.header.absolute {
        return Err(Error::new(ErrorKind::Expired, "its absolute deadline has passed"));
    }
    // No engine watches over a record that the client holds.
    if manager.capabilities.client_side && now >= base.header.deadline {
        return Err(Error::new(ErrorKind::Expired, "its idle deadline has passed"));
    }
    Ok(())
}

/// The way through a conflict: in a queue with those of this process, with growing waits between processes.
#[derive(Default)]
struct Merging<'a> {
    turn: Option<Turn<'a>>,
    backoff: Backoff,
}

impl<'a> Merging<'a> {
    /// Waits for the next attempt, and says what to build it on. `found` is what the last one met.
    async fn wait(
        &mut self,
        manager: &'a Shared,
        operation: &Operation,
        id: &StorageId,
        found: Box<Record>,
    ) -> Result<Box<Record>> {
        observe::conflict(id);
        let mut newest = found;
        match &self.turn {
            None => {
                let turn = within(|| operation.end(), manager.queue.turn(id)).await;
                let turn = turn.ok_or_else(|| contention(operation))?;
                newest = turn.newer_than(&newest).map_or(newest, Box::new);
                self.turn = Some(turn);
            }
            Some(_) => self.backoff.wait(operation.end()).await,
        }
        if operation.is_over() { Err(contention(operation)) } else { Ok(newest) }
    }

    /// Leaves what was stored to the next in the queue.
    fn stored(&mut self, record: &Record) {
        if let Some(turn) = &mut self.turn {
            turn.stored(record);
        }
    }
}

/// Moves the idle deadline of a session that did not change, when that is due: by a touch or, where the client holds the
/// record, by issuing it again. A request that only read is not failed by it.
async fn slide(
    manager: &Shared,
    stored: Arc<Stored>,
    newer: Option<Box<Record>>,
    mut next: Next,
    now: Timestamp,
) -> Committed {
    let with = |record| {
        let Stored { token, id, class, .. } = &*stored;
        let stored = Stored { token: token.clone(), id: id.clone(), class: *class, record };
        Committed { stored: Some(Arc::new(stored)), message: Message::Nothing }
    };
    if let Some(newer) = newer {
        return with(*newer);
    }
    let unchanged = Committed { stored: Some(Arc::clone(&stored)), message: Message::Nothing };
    if !manager.must_touch(&stored) {
        return unchanged;
    }
    let base = &stored.record;
    let operation = manager.operation("touch", false);
    if manager.capabilities.client_side {
        return match next.store(manager, &operation, &stored, base).await {
            Ok(Outcome::Stored { token, id }) => {
                let message = Message::Hold(token.clone());
                let stored = Stored { token, id, class: next.class, record: next.record };
                Committed { stored: Some(Arc::new(stored)), message }
            }
            Ok(Outcome::Refused(_)) => unchanged,
            Err(error) => {
                observe::not_touched(&stored.id, &error);
                unchanged
            }
        };
    }
    let ttl = stored.class.idle.min(base.header.absolute.since(now));
    match operation.call(|| manager.provider.touch(&stored.id, base, ttl)).await {
        Ok(answer) if answer.value => {
            let mut record = base.clone();
            record.header.deadline = now.after(ttl);
            with(record)
        }
        Ok(_) => unchanged,
        Err(error) => {
            observe::not_touched(&stored.id, &error);
            unchanged
        }
    }
}

fn contention(operation: &Operation) -> Error {
    operation.explain(Error::new(ErrorKind::Conflict, "others were faster until the deadline; try again"))
}

/// The record to merge with after a refusal, or why there is none.
fn what_is_newer(
    manager: &Shared,
    operation: &Operation,
    stored: &Stored,
    base: &Record,
    refusal: Refusal,
) -> Result<Box<Record>> {
    let kind = match refusal.current {
        Some(current) if current.is_live() => {
            // All writes since the one we read are on the list, and ours is not: it was not applied.
            if !refusal.resent || current.header.has_version(base.header.version()) {
                return Ok(current);
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
        body: Body,
        plan: &Plan,
        now: Timestamp,
    ) -> Self {
        let owner = plan.owner_after(base.header.owner);
        let class = plan.class.unwrap_or_else(|| manager.classes.after(stored.class, owner.is_some()));
        let renew = plan.regenerate || class != stored.class;
        let changed = renew || owner != base.header.owner || body != base.body;
        let ttl = class.idle.min(base.header.absolute.since(now));
        let mut header = base.header.next();
        header.deadline = now.after(ttl);
        header.owner = owner;
        Self { record: Record::new(header, body), class, ttl, changed, renew }
    }

    async fn store(
        &mut self,
        manager: &Shared,
        operation: &Operation,
        stored: &Stored,
        base: &Record,
    ) -> Result<Outcome> {
        if self.renew && !manager.capabilities.client_side {
            return Box::pin(self.move_to_new_id(manager, operation, stored, base)).await;
        }
        // Where the client holds the record, the engine gives each write a name of its own, a rename too.
        let new = (&stored.id, &self.record, self.ttl);
        let rename = Rename::new((&stored.id, base.stamp()), new, &self.record);
        let answer = operation
            .call(|| {
                if self.renew {
                    manager.provider.rename(&rename)
                } else {
                    manager.provider.write(&stored.id, &self.record, Condition::Over(base.stamp()), self.ttl)
                }
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
        // As with a create, a second attempt takes another id. Nobody else can know either of them, so a
        // tombstone that points to one is ours.
        let drawn = [manager.new_id(self.class)?, manager.new_id(self.class)?];
        let tombstones = [0, 1].map(|index| rename::tombstone(base, &drawn[index].1, manager.now()));
        let mut attempts = [0, 1].into_iter().cycle();
        let answer = operation
            .call(|| {
                let index = attempts.next().unwrap_or(0);
                let new = (&drawn[index].1, &self.record, self.ttl);
                let arguments = Rename::new((&stored.id, base.stamp()), new, &tombstones[index]);
                Box::pin(async move { Ok((index, manager.provider.rename(&arguments).await?)) })
            })
            .await?;
        let (index, outcome) = answer.value;
        let (index, outcome) = match moved_to(&outcome, &drawn) {
            Some(index) => (index, WriteOutcome::stored()),
            None => (index, self.settle(outcome, answer.repeated)),
        };
        let [first, second] = drawn;
        let ((token, id), other) = if index == 0 { (first, second.1) } else { (second, first.1) };
        if matches!(outcome, WriteOutcome::Stored(_)) {
            observe::regenerated(&stored.id, &id);
        }
        if answer.repeated {
            withdraw(manager, operation, Some(&other)).await;
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

/// To which of the ids that were drawn a refusal shows the session to have moved.
fn moved_to(outcome: &WriteOutcome, drawn: &[(Token, StorageId); 2]) -> Option<usize> {
    let WriteOutcome::Refused(refusal) = outcome else { return None };
    match &refusal.current.as_deref()?.header.state {
        State::Moved(to) => drawn.iter().position(|(_, id)| id == to),
        State::Live => None,
    }
}

/// Removes what an attempt that was not heard may have left under an id that nobody was told. It would end by itself;
/// that it fails too is no reason to fail.
async fn withdraw(manager: &Shared, operation: &Operation, id: Option<&StorageId>) {
    if let Some(id) = id {
        let _ = within(|| operation.end(), manager.provider.destroy(id, None)).await;
    }
}

/// The body of a newer record with this request's changes applied to it.
fn merged(manager: &Shared, newer: &Record, changes: &mut [Change]) -> Result<Body> {
    let mut body = newer.body.clone();
    changes.iter_mut().try_for_each(|change| change.apply(&mut body))?;
    manager.limits.check(body.len(), body.bytes())?;
    Ok(body)
}

/// Waits that grow, from around 1 ms to around 16 ms.
///
/// Only after every second conflict: a refusal brings the newest record there is, and the attempt that follows at once is
/// ahead of whoever still has to read it. After a wait that record is old, and the next attempt is there to see a newer one.
/// Those who always waited would starve behind a writer that never does.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    async fn wait(&mut self, until: Instant) {
        self.0 += 1;
        if self.0.is_multiple_of(2) {
            let around = Duration::from_millis(1 << (self.0 / 2 - 1).min(4));
            tokio::time::sleep_until((Instant::now() + jitter(around)).min(until)).await;
        }
    }
}
