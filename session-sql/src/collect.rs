//! Removing what has expired a little at a time, so that requests hardly notice.

use std::time::Duration;

use session_core::Result;

/// How many rows one statement removes: a millisecond or two.
const BATCH: usize = 50;

/// How long the server is left alone between two statements. Without it they keep a core and the log of a small
/// server busy, and the requests meanwhile were seen to take up to four times as long (p99).
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `remove` with the number of rows to remove until `limit` are gone, or fewer than that many were there to
/// be removed; says how many it were. One round trip per fifty rows.
pub async fn collect<F>(limit: usize, mut remove: impl FnMut(usize) -> F) -> Result<usize>
where
    F: Future<Output = Result<usize>>,
{
    let mut removed = 0;
    while removed < limit {
        if removed > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let batch = BATCH.min(limit - removed);
        let rows = remove(batch).await?;
        removed += rows;
        if rows < batch {
            break;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    async fn removed(stored: usize, limit: usize) -> (usize, Vec<usize>) {
        let (left, batches) = (RefCell::new(stored), RefCell::new(Vec::new()));
        let removed = collect(limit, |batch| {
            batches.borrow_mut().push(batch);
            let rows = batch.min(*left.borrow());
            *left.borrow_mut() -= rows;
            async move { Ok(rows) }
        });
        (removed.await.unwrap(), batches.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn no_statement_removes_more_than_a_batch_and_all_together_no_more_than_the_limit() {
        assert_eq!(removed(1_000, 120).await, (120, vec![50, 50, 20]));
        assert_eq!(removed(1_000, 7).await, (7, vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_there_is_no_more() {
        assert_eq!(removed(80, 1_000).await, (80, vec![50, 50]));
        assert_eq!(removed(0, 1_000).await, (0, vec![50]));
    }
}
