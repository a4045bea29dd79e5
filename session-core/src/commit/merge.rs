//! Resolves a conflict: applies this request's changes to the newer record. Commits of one process
//! queue; between processes, the waits grow.

use std::time::Duration;

use tokio::time::Instant;

use crate::id::StorageId;
use crate::live::Change;
use crate::record::{Body, Record};
use crate::shared::{Begun, EventKind, Operation, Shared, Turn, jitter, with_deadline};
use crate::{Error, ErrorKind, Result, observe};

#[derive(Default)]
pub(super) struct Merging<'a> {
    turn: Option<Turn<'a>>,
    backoff: Backoff,
}

impl<'a> Merging<'a> {
    /// Waits for the next attempt, and returns the record to build it on. `found` is the record
    /// that the last attempt conflicted with.
    pub(super) async fn wait(
        &mut self,
        shared: &'a Shared,
        operation: &Operation,
        id: &StorageId,
        found: Box<Record>,
    ) -> Result<Box<Record>> {
        observe::conflict(id);
        shared.events.emit(EventKind::Conflict, id, Some(&found.header));
        let mut newest = found;
        if self.turn.is_some() {
            self.backoff.wait(operation.end()).await;
            return if operation.is_over() { Err(contention(operation)) } else { Ok(newest) };
        }
        let progress = shared.queue.progress(id);
        let turn = with_deadline(Begun::No, || operation.end(), shared.queue.turn(id)).await;
        let Some(turn) = turn.filter(|_| !operation.is_over()) else {
            // When no commit succeeded meanwhile, this is not contention: the engine does not
            // answer.
            let is_stuck = progress.is_some_and(|progress| !progress.is_made());
            return Err(if is_stuck { unanswered(operation) } else { contention(operation) });
        };
        newest = turn.newer_than(&newest).map_or(newest, Box::new);
        self.turn = Some(turn);
        Ok(newest)
    }

    /// Passes the stored record on to the next commit in the queue.
    pub(super) fn stored(&mut self, id: &StorageId, record: &Record) {
        if let Some(turn) = &mut self.turn {
            turn.stored(id, record);
        }
    }
}

fn contention(operation: &Operation) -> Error {
    let message = "too many concurrent changes to this session; retry the request";
    operation.explain(Error::new(ErrorKind::Conflict, message))
}

fn unanswered(operation: &Operation) -> Error {
    let message = "an earlier commit of this session is still waiting for the engine";
    operation.explain(Error::new(ErrorKind::Unavailable, message))
}

/// Returns the body of a newer record with this request's changes applied to it.
pub(super) fn merged(shared: &Shared, newer: &Record, changes: &mut [Change]) -> Result<Body> {
    let mut body = newer.body.clone();
    changes.iter_mut().try_for_each(|change| change.apply(&mut body))?;
    shared.limits.check(body.len(), body.bytes())?;
    Ok(body)
}

/// Growing waits, from about 1 ms to about 16 ms.
///
/// It waits only after every second conflict: a refusal carries the newest record, and an immediate
/// attempt is ahead of writers that still have to read it. After a wait that record is stale, so
/// the next attempt mainly fetches a newer one. A writer that always waited would starve behind one
/// that never does.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    async fn wait(&mut self, until: Instant) {
        self.0 += 1;
        if let Some(around) = Self::around(self.0) {
            tokio::time::sleep_until((Instant::now() + jitter(around)).min(until)).await;
        }
    }

    /// How long to wait, give or take, after so many conflicts.
    fn around(conflicts: u32) -> Option<Duration> {
        conflicts.is_multiple_of(2).then(|| Duration::from_millis(1 << (conflicts / 2 - 1).min(4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_follow_every_second_conflict_grow_and_end_at_the_deadline() {
        let waits: Vec<_> = (1..=12).filter_map(Backoff::around).map(|around| around.as_millis()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16]);

        let (mut backoff, begun) = (Backoff(5), Instant::now());
        backoff.wait(begun + Duration::from_secs(1)).await;
        // Half of 4 ms, or one and a half times that, and the millisecond up to which timers round.
        assert!((2..=7).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        assert_eq!(backoff.0, 6, "each conflict counts");
        backoff.wait(begun).await;
        let first = Instant::now();
        backoff.wait(first).await;
        assert!(first.elapsed() <= Duration::from_millis(1), "{:?}", first.elapsed());
    }
}
