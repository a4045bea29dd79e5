//! Moves a session to a new id.

use super::classify::{Meaning, classify_move};
use super::next::Next;
use super::replace::Attempt;
use super::withdraw;
use crate::live::Stored;
use crate::provider::Rename;
use crate::record::Record;
use crate::shared::{EventKind, Operation, Shared};
use crate::{Error, ErrorKind, Result, observe, rename};

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
    let drawn = [shared.new_id(*class)?, shared.new_id(*class)?];
    let tombstones = [0, 1].map(|index| rename::tombstone(base, &drawn[index].1, shared.now()));
    let mut attempts = [0, 1].into_iter().cycle();
    let answer = operation
        .call(|| {
            let index = attempts.next().unwrap_or(0);
            let new = (&drawn[index].1, &*record, *ttl);
            let arguments = Rename::new((&stored.id, base.stamp()), new, &tombstones[index]);
            Box::pin(async move { Ok((index, shared.provider.rename(&arguments).await?)) })
        })
        .await?;
    let (index, outcome) = answer.value;
    let ids = [&drawn[0].1, &drawn[1].1];
    let (moved_to, meaning) = classify_move(outcome, ids, base.header.version(), answer.repeated);
    let index = moved_to.unwrap_or(index);
    if answer.repeated {
        // Also on an error: a record that a lost attempt left under an id that no client knows is
        // useless.
        let keep = matches!(meaning, Meaning::Applied { .. });
        for (other, id) in ids.into_iter().enumerate() {
            if !keep || other != index {
                withdraw(shared, operation, id).await;
            }
        }
    }
    match meaning {
        Meaning::Applied { stored: done, .. } => {
            record.cas = done.cas;
            let [first, second] = drawn;
            let (token, id) = if index == 0 { first } else { second };
            observe::regenerated(&stored.id, &id);
            shared.events.emit(EventKind::Regenerated, &id, Some(&record.header));
            Ok(Attempt::Stored { token, id })
        }
        Meaning::Superseded(newer) => Ok(Attempt::Superseded(newer)),
        Meaning::Ended(ending) => Ok(Attempt::Ended(ending)),
        Meaning::Unknown => Err(operation.explain(Error::new(ErrorKind::OutcomeUnknown, ""))),
    }
}
