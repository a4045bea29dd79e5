//! Stores a session for the first time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::classify::{Meaning, classify};
use super::withdraw;
use crate::clock::Timestamp;
use crate::id::{StorageId, Token};
use crate::live::{Plan, Stored};
use crate::provider::{Condition, WriteOutcome};
use crate::record::{Body, Header, Record, Version};
use crate::shared::{Class, EventKind, Operation, Shared};
use crate::{Error, ErrorKind, Result, observe};

/// Stores a new session, after the writes that it supersedes. One write; a second one, under
/// another id, when the first was not heard.
pub(super) async fn create(
    shared: &Arc<Shared>,
    whole: &Operation,
    body: Body,
    plan: &Plan,
    superseded: &[Version],
) -> Result<Arc<Stored>> {
    let now = shared.now();
    super::collect::start_if_due(shared, now);
    let (class, ttl, mut record) = first(shared, body, plan, now);
    record.header.supersede(superseded.iter().copied());
    let operation = whole.part("create", true);
    let drawn = shared.new_id(class).map_err(|error| operation.explain(error))?;
    let at_once = shared.provider.as_immediate().and_then(|engine| {
        operation.at_once(|| engine.write_at_once(&drawn.1, &record, Condition::Absent, ttl))
    });
    let (token, id, outcome) = match at_once {
        Some(answer) => (drawn.0, drawn.1, answer.value),
        None => Box::pin(attempts(shared, &operation, class, &record, ttl, drawn)).await?,
    };
    // Attempts do not share an id, so only the driver can have sent this write twice.
    let (token, id) = match classify(outcome, &[record.header.version()], None, false) {
        Meaning::Applied { current: Some(current), .. } if current.is_live() => {
            record = *current;
            (token, id)
        }
        Meaning::Applied { stored, .. } => {
            record.cas = stored.cas;
            shared.named(stored.token, token, id)
        }
        Meaning::Superseded(_) | Meaning::Ended(_) => {
            let message = "the generated id is already in use: check the id generator";
            return Err(operation.explain(Error::new(ErrorKind::Conflict, message)));
        }
        Meaning::Unknown => return Err(operation.explain(Error::new(ErrorKind::OutcomeUnknown, ""))),
    };
    observe::created(&id);
    shared.events.emit(EventKind::Created, &id, Some(&record.header));
    Ok(Arc::new(Stored { token, id, class, record, seen: now }))
}

/// Writes under the drawn id or, when that gets no answer, under another one.
async fn attempts(
    shared: &Shared,
    operation: &Operation,
    class: Class,
    record: &Record,
    ttl: Duration,
    drawn: (Token, StorageId),
) -> Result<(Token, StorageId, WriteOutcome)> {
    // Each attempt uses an id of its own: under the same one, a late write could bring the session
    // back after a logout that the client got in between.
    let (first, second) = (drawn.1.clone(), OnceLock::new());
    let attempt = async |drawn: Option<(Token, StorageId)>| {
        let (token, id) = drawn.map_or_else(|| shared.new_id(class), Ok)?;
        if id != first {
            let _ = second.set(id.clone());
        }
        let outcome = shared.provider.write(&id, record, Condition::Absent, ttl).await?;
        Ok((token, id, outcome))
    };
    let mut drawn = Some(drawn);
    let answer = operation.call(|| Box::pin(attempt(drawn.take()))).await?;
    if answer.repeated {
        let id = &answer.value.1;
        for other in [Some(&first), second.get()].into_iter().flatten().filter(|other| *other != id) {
            withdraw(shared, operation, other).await;
        }
    }
    Ok(answer.value)
}

/// Builds the first record of a session. Also returns its class and its time to live.
fn first(shared: &Shared, body: Body, plan: &Plan, now: Timestamp) -> (Class, Duration, Record) {
    let owner = plan.owner_after(None);
    let class = plan.class.unwrap_or_else(|| shared.classes.for_owner(owner.is_some()));
    let absolute = shared.classes.absolute(class);
    let ttl = class.idle.min(absolute);
    let mut header = Header::new(now, now.after(absolute), now.after(ttl));
    header.set_account(plan.account_after(&header, class, now));
    header.owner = owner;
    (class, ttl, Record::new(header, body))
}
