//! Every operation is one statement, counted by what the driver logs.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::Provider as _;
use session_core::accounts::Owner;
use session_core::clock::ManualClock;
use session_core::engine::{Condition, DestroyOutcome, Indexed as _, Rename, Scan as _};
use session_core::id::StorageId;
use session_core::record::{Body, Record, State};
use session_sqlite::{SqliteConnectOptions, SqlitePool, SqliteProvider};
use support::*;
use tracing_subscriber::filter::LevelFilter;

/// Counts the lines of the log that tell of a statement.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl io::Write for Counter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let statement = b"db.statement";
        self.0
            .fetch_add(line.windows(statement.len()).filter(|at| at == statement).count(), Ordering::SeqCst);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counter {
    /// How many statements an operation is.
    async fn count<T>(&self, operation: impl Future<Output = session_core::Result<T>>) -> (usize, T) {
        let before = self.0.load(Ordering::SeqCst);
        let result = operation.await.unwrap();
        // The driver logs after it has answered.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        (self.0.load(Ordering::SeqCst) - before, result)
    }
}

fn tombstone(over: &Record, new: &StorageId) -> Record {
    let mut tombstone = Record::new(over.header.next(), Body::default());
    tombstone.header.state = State::Moved(new.clone());
    tombstone
}

#[tokio::test]
async fn every_operation_is_one_statement() {
    let counter = Counter::default();
    let (writer, log) = (counter.clone(), tracing_subscriber::fmt());
    log.with_max_level(LevelFilter::DEBUG).with_ansi(false).with_writer(move || writer.clone()).init();
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let options = SqliteConnectOptions::new().filename(file(&directory)).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let provider = SqliteProvider::with_pool(pool, "session").unwrap().clock(Arc::new(clock.clone()));
    provider.migrate().await.unwrap();

    // What came before has been logged when this has been counted.
    counter.count(provider.check()).await;
    let (old, new) = (numbered(1), numbered(2));
    let (create, _) = counter.count(provider.write(&old, &record(1), Condition::Absent, DAY)).await;
    let (read, seen) = counter.count(provider.read(&old, DAY)).await;
    let second = next(&seen.clone().unwrap(), 2);
    let over = Condition::Over(seen.unwrap().stamp());
    let (replace, outcome) = counter.count(provider.write(&old, &second, over, DAY)).await;
    assert!(is_stored(&outcome));
    // So much later that the index changes as well.
    clock.advance(DAY / 2);
    let seen = provider.read(&old, DAY).await.unwrap().unwrap();
    let third = next(&seen, 3);
    let (replace_later, outcome) =
        counter.count(provider.write(&old, &third, Condition::Over(seen.stamp()), DAY)).await;
    assert!(is_stored(&outcome));
    let (touch, there) = counter.count(provider.touch(&old, &third, DAY)).await;
    assert!(there);
    let (exists, there) = counter.count(provider.exists(&old)).await;
    assert!(there);
    let (refused, outcome) = counter.count(provider.write(&old, &record(9), over, DAY)).await;
    assert!(!is_stored(&outcome));
    let (moved, tombstone) = (next(&third, 4), tombstone(&third, &new));
    let rename = Rename::new((&old, third.stamp()), (&new, &moved, DAY), &tombstone);
    let (rename, outcome) = counter.count(provider.rename(&rename)).await;
    assert!(is_stored(&outcome));
    let (destroy, outcome) = counter.count(provider.destroy(&new, Some(moved.stamp()))).await;
    assert!(matches!(outcome, DestroyOutcome::Destroyed));
    let (absent, _) = counter.count(provider.read(&numbered(3), DAY)).await;
    let counts = [create, read, replace, replace_later, touch, exists, rename, destroy, absent];
    assert_eq!(counts, [1; 9]);
    assert_eq!(refused, 2, "what is refused is read");

    let ada = Owner::of("ada");
    let mut owned = record(1);
    owned.header.owner = Some(ada);
    provider.write(&numbered(4), &owned, Condition::Absent, DAY).await.unwrap();
    let (list, page) = counter.count(provider.list(&ada, None, 10)).await;
    assert_eq!(page.sessions.len(), 1);
    let (scan, page) = counter.count(provider.scan(None, 10)).await;
    assert_eq!(page.sessions.len(), 2, "and the tombstone");
    let (end, ended) = counter.count(provider.end_owner(&ada, 10)).await;
    assert_eq!(ended, 1);
    let (end_none, ended) = counter.count(provider.end_owner(&ada, 10)).await;
    assert_eq!(ended, 0);
    assert_eq!([list, scan, end, end_none], [1; 4]);
}
