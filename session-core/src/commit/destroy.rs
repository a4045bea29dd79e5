//! Ends a session by its id, even when the id was just replaced.

use crate::id::StorageId;
use crate::provider::DestroyOutcome;
use crate::record::Stamp;
use crate::shared::{Operation, Shared};
use crate::{Error, ErrorKind, Result, observe};

/// The number of consecutive regenerations that a logout follows.
const MOVES: usize = 8;

/// Ends the session under this id, and returns whether there was one. With the stamp of the record
/// that was read this is one round trip on every engine; a session that was changed meanwhile is
/// ended too.
///
/// This is a part of `whole`, and ends by its deadline.
pub(crate) async fn end(
    shared: &Shared,
    whole: &Operation,
    id: &StorageId,
    stamp: Option<Stamp>,
) -> Result<bool> {
    let operation = whole.part("destroy", true);
    let mut id = id.clone();
    let mut stamp = stamp;
    let mut unanswered = false;
    for _ in 0..MOVES {
        let answer = operation.call(|| shared.provider.destroy(&id, stamp)).await?;
        unanswered |= answer.repeated;
        match answer.value {
            DestroyOutcome::Destroyed => {
                observe::destroyed(&id);
                return Ok(true);
            }
            // Gone at the second attempt: the first one ended it.
            DestroyOutcome::Absent => return Ok(unanswered),
            DestroyOutcome::Moved(new) => (id, stamp) = (new, None),
            DestroyOutcome::Refused(_) => stamp = None,
        }
    }
    Err(operation.explain(Error::new(ErrorKind::Conflict, "its id is replaced faster than it can be ended")))
}
