//! Storing a session for the first time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::classify::{Meaning, classify};
use super::withdraw;
use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::live::{Plan, Stored};
use crate::provider::Condition;
use crate::record::{Body, Header, Record};
use crate::shared::{Class, EventKind, Operation, Shared};
use crate::{Error, ErrorKind, Result, observe};

/// Stores a new session. One write; a second one, under another id, when the first was not heard.
pub(super) async fn create(
    shared: &Arc<Shared>,
    whole: &Operation,
    body: Body,
    plan: &Plan,
) -> Result<Arc<Stored>> {
    let now = shared.now();
    super::collect::start_if_due(shared, now);
    let (class, ttl, mut record) = first(shared, body, plan, now);
    let operation = whole.part("create", true);
    // Each attempt takes an id of its own: under the same one, a write that arrives late could bring the session
    // back after a logout that the client got in between.
    let drawn: [OnceLock<StorageId>; 2] = Default::default();
    let attempt = async || {
        let (token, id) = shared.new_id(class)?;
        let _ = drawn[usize::from(drawn[0].get().is_some())].set(id.clone());
        let outcome = shared.provider.write(&id, &record, Condition::Absent, ttl).await?;
        Ok((token, id, outcome))
    };
    let answer = operation.call(|| Box::pin(attempt())).await?;
    let (token, id, outcome) = answer.value;
    if answer.repeated {
        for other in drawn.iter().filter_map(OnceLock::get).filter(|other| **other != id) {
            Box::pin(withdraw(shared, &operation, other)).await;
        }
    }
    // Attempts do not share an id, so only the driver can have sent this one twice.
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
            let message = "the id that was drawn is in use: check the id generator";
            return Err(operation.explain(Error::new(ErrorKind::Conflict, message)));
        }
        Meaning::Unknown => return Err(operation.explain(Error::new(ErrorKind::OutcomeUnknown, ""))),
    };
    observe::created(&id);
    shared.events.tell(EventKind::Created, &id, Some(&record.header));
    Ok(Arc::new(Stored { token, id, class, record, seen: now }))
}

/// The first record of a session, its class, and how long it lives.
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
