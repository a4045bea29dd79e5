//! Moves a session to a new id.

use std::sync::OnceLock;

use super::classify::{Meaning, classify_move};
use super::next::Next;
use super::replace::Attempt;
use super::withdraw;
use crate::id::{StorageId, Token};
use crate::live::Stored;
use crate::provider::Rename;
use crate::record::Record;
use crate::shared::{Class, EventKind, Operation, Shared};
use crate::{Error, ErrorKind, Result, observe, rename};

/// A new id, with the tombstone that leads to it.
struct Target {
    token: Token,
    id: StorageId,
    tombstone: Record,
}

impl Target {
    fn draw(shared: &Shared, class: Class, base: &Record) -> Result<Self> {
        let (token, id) = shared.new_id(class)?;
        let tombstone = rename::tombstone(base, &id, shared.now());
        Ok(Self { token, id, tombstone })
    }
}

/// Stores the next record under a new id and makes the old one a tombstone.
///
/// As with a create, a second attempt uses another id. No other writer can know either id, so a
/// tombstone that points to one of them is ours.
pub(super) async fn relocate(
    shared: &Shared,
    operation: &Operation,
    stored: &Stored,
    base: &Record,
    next: &mut Next,
) -> Result<Attempt> {
    let Next { record, class, ttl, .. } = next;
    let draw = || Target::draw(shared, *class, base);
    let (first, second) = (draw()?, OnceLock::new());
    let attempt = async |again: bool| {
        if again && second.get().is_none() {
            let _ = second.set(draw()?);
        }
        let target = second.get().filter(|_| again).unwrap_or(&first);
        let new = (&target.id, &*record, *ttl);
        let arguments = Rename::new((&stored.id, base.stamp()), new, &target.tombstone);
        Ok((again, shared.provider.rename(&arguments).await?))
    };
    let mut begun = false;
    let answer = operation.call(|| Box::pin(attempt(std::mem::replace(&mut begun, true)))).await?;
    let (again, outcome) = answer.value;
    // The second attempt draws its id when it is polled: not at all if the first one answers before.
    let drawn = [Some(&first.id), second.get().map(|second| &second.id)];
    let ids = drawn.map(|id| id.unwrap_or(&first.id));
    let (moved_to, meaning) = classify_move(outcome, ids, base.header.version(), answer.repeated);
    let index = moved_to.unwrap_or(usize::from(again));
    if answer.repeated {
        // Also on an error: a record that a lost attempt left under an id that no client knows is
        // useless.
        let keep = matches!(meaning, Meaning::Applied { .. });
        for (other, id) in drawn.into_iter().enumerate() {
            if let Some(id) = id.filter(|_| !keep || other != index) {
                withdraw(shared, operation, id).await;
            }
        }
    }
    match meaning {
        Meaning::Applied { stored: done, .. } => {
            record.cas = done.cas;
            let Target { token, id, .. } = second.into_inner().filter(|_| index == 1).unwrap_or(first);
            observe::regenerated(&stored.id, &id);
            shared.events.emit(EventKind::Regenerated, &id, Some(&record.header));
            Ok(Attempt::Stored { token, id })
        }
        Meaning::Superseded(newer) => Ok(Attempt::Superseded(newer)),
        Meaning::Ended(ending) => Ok(Attempt::Ended(ending)),
        Meaning::Unknown => Err(operation.explain(Error::new(ErrorKind::OutcomeUnknown, ""))),
    }
}
