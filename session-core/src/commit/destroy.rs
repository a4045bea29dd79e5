//! Ending a session by its id, also when the id was just replaced.

use crate::id::StorageId;
use crate::provider::DestroyOutcome;
use crate::record::Stamp;
use crate::shared::{Operation, Shared};
use crate::{Error, ErrorKind, Result, observe};

/// How many regenerations in a row a logout follows.
const MOVES: usize = 8;

/// Ends the session under this id and says whether there was one. With the stamp of the record that was read
/// it is one round trip on every engine; a session that was changed meanwhile is ended all the same.
///
/// It is a part of `whole`, and ends at its deadline.
pub(crate) async fn end(
    shared: &Shared,
    whole: &Operation,
    id: &StorageId,
    stamp: Option<Stamp>,
) -> Result<bool> {
    let operation = whole.part("destroy", true);
    let mut id = id.clone();
    let mut stamp = stamp;
    let mut unheard = false;
    for _ in 0..MOVES {
        let answer = operation.call(|| shared.provider.destroy(&id, stamp)).await?;
        unheard |= answer.repeated;
        match answer.value {
            DestroyOutcome::Destroyed => {
                observe::destroyed(&id);
                return Ok(true);
            }
            // Gone at the second try: the first one did it.
            DestroyOutcome::Absent => return Ok(unheard),
            DestroyOutcome::Moved(new) => (id, stamp) = (new, None),
            DestroyOutcome::Refused(_) => stamp = None,
        }
    }
    Err(operation.explain(Error::new(ErrorKind::Conflict, "its id is replaced faster than it can be ended")))
}
