//! Removes expired rows in small batches, so that requests are hardly delayed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::Result;
use tokio::time::{Instant, sleep};

/// The initial, smallest and largest number of rows that one statement removes.
const FIRST: usize = 50;
const LEAST: usize = 10;
/// A larger batch gains nothing: the pause between two statements is already short.
pub const MOST: usize = 200;

/// A faster statement makes the next batch larger; one that takes more than twice as long makes it
/// smaller.
const AIM: Duration = Duration::from_millis(5);

/// The shortest pause between two statements. Without it they keep a core and the log of a small
/// server busy; requests then took up to four times as long (p99).
const PAUSE: Duration = Duration::from_millis(5);

/// The longest duration of one call. The next call continues where it ended. The core calls again
/// when a call has taken more than a second.
const DEADLINE: Duration = Duration::from_secs(2);

/// How often a collection restarts from the oldest row, for rows that were locked before.
const FROM_THE_START: Duration = Duration::from_mins(10);

/// Remembers where the last collection ended, and the current batch size.
///
/// While a transaction keeps an old snapshot, the server cannot purge removed rows, and every
/// search from the oldest row would scan all of them.
#[derive(Debug, Default)]
pub struct Collector(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The mark of the last row that was found; the next search begins there.
    from: Option<i64>,
    started: Instant,
    batch: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { from: None, started: Instant::now(), batch: FIRST }
    }
}

impl Collector {
    /// Removes up to `limit` rows and returns their number.
    ///
    /// `find` searches from a mark (`None`: from the oldest row) for the given number of expired
    /// rows, and returns their keys and marks in order. `remove` removes rows by their keys, at
    /// most [`MOST`] at once.
    pub async fn collect<F, R>(
        &self,
        limit: usize,
        find: impl Fn(Option<i64>, usize) -> F,
        remove: impl Fn(Vec<String>) -> R,
    ) -> Result<usize>
    where
        F: Future<Output = Result<Vec<(String, i64)>>>,
        R: Future<Output = Result<usize>>,
    {
        let begun = Instant::now();
        let found = find(self.from(), limit).await?;
        let (mut keys, mut removed) = (found.iter(), 0);
        loop {
            let batch = self.state().batch;
            let (keys, last) =
                keys.by_ref().take(batch).fold((Vec::new(), None), |(mut keys, _), (key, mark)| {
                    keys.push(key.clone());
                    (keys, Some(*mark))
                });
            let Some(last) = last else { return Ok(removed) };
            let sent = Instant::now();
            removed += remove(keys).await?;
            let took = sent.elapsed();
            self.learn(last, took);
            if begun.elapsed() >= DEADLINE {
                return Ok(removed);
            }
            sleep(PAUSE.max(took)).await;
        }
    }

    fn from(&self) -> Option<i64> {
        let mut state = self.state();
        if state.started.elapsed() >= FROM_THE_START {
            state.started = Instant::now();
            state.from = None;
        }
        state.from
    }

    fn learn(&self, last: i64, took: Duration) {
        let mut state = self.state();
        state.from = Some(last);
        if took > 2 * AIM {
            state.batch = (state.batch / 2).max(LEAST);
        } else if took < AIM {
            state.batch = (state.batch + state.batch / 2).min(MOST);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A table of rows with their marks, and a log of the statements.
    #[derive(Default)]
    struct Table {
        rows: RefCell<Vec<(String, i64)>>,
        searches: RefCell<Vec<Option<i64>>>,
        batches: RefCell<Vec<usize>>,
    }

    impl Table {
        fn of(rows: i64) -> Self {
            let rows = (0..rows).map(|row| (row.to_string(), row));
            Self { rows: RefCell::new(rows.collect()), ..Self::default() }
        }

        async fn collect(&self, collector: &Collector, limit: usize, took: Duration) -> usize {
            let find = |from: Option<i64>, limit| async move {
                self.searches.borrow_mut().push(from);
                let rows = self.rows.borrow();
                let found = rows.iter().filter(|row| from.is_none_or(|from| row.1 >= from)).take(limit);
                Ok(found.cloned().collect())
            };
            let remove = |keys: Vec<String>| async move {
                sleep(took).await;
                self.batches.borrow_mut().push(keys.len());
                self.rows.borrow_mut().retain(|row| !keys.contains(&row.0));
                Ok(keys.len())
            };
            collector.collect(limit, find, remove).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_collection_continues_where_the_last_one_ended() {
        let (table, collector) = (Table::of(1_000), Collector::default());
        for _ in 0..3 {
            assert_eq!(table.collect(&collector, 300, AIM).await, 300);
        }
        assert_eq!(table.collect(&collector, 300, AIM).await, 100);
        assert_eq!(table.collect(&collector, 300, AIM).await, 0);
        assert_eq!(*table.searches.borrow(), [None, Some(299), Some(599), Some(899), Some(999)]);
        assert!(table.batches.borrow().iter().all(|batch| *batch == FIRST));
        // A row that was locked during the first search.
        table.rows.borrow_mut().push(("locked".into(), 5));
        assert_eq!(table.collect(&collector, 300, AIM).await, 0);
        tokio::time::advance(FROM_THE_START).await;
        assert_eq!(table.collect(&collector, 300, AIM).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_as_large_as_the_server_removes_quickly() {
        let (table, collector) = (Table::of(3_000), Collector::default());
        table.collect(&collector, 1_000, Duration::from_millis(1)).await;
        assert_eq!(table.batches.borrow().iter().max(), Some(&MOST));
        table.collect(&collector, 1_000, Duration::from_millis(40)).await;
        assert_eq!(table.batches.borrow().last(), Some(&LEAST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline_with_what_it_has_removed() {
        let (table, collector) = (Table::of(1_000), Collector::default());
        let begun = Instant::now();
        let removed = table.collect(&collector, 1_000, Duration::from_millis(300)).await;
        assert!((50..300).contains(&removed), "{removed}");
        assert!(begun.elapsed() < DEADLINE + Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(table.rows.borrow().len(), 1_000 - removed);
    }
}
