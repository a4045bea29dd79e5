//! Groups of writes whose callers give up, or whose runtimes end or are not running.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::future::{Future, ready};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use session_core::Provider as _;
use session_core::engine::Condition;
use session_sqlite::{SqliteConfig, SqliteProvider};
use support::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_millis(100);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn patient() -> (Arc<SqliteProvider>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = SqliteConfig::file(file(&directory)).busy_timeout(Duration::from_secs(30));
    (Arc::new(SqliteProvider::connect(config).await.unwrap()), directory)
}

/// A write in progress; the output is whether it was stored.
type Writing = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Begins the write of a session.
fn begin(provider: &Arc<SqliteProvider>, number: u64) -> Writing {
    let provider = Arc::clone(provider);
    let mut writing: Writing = Box::pin(async move {
        let outcome = provider.write(&numbered(number), &record(number), Condition::Absent, DAY).await;
        is_stored(&outcome.unwrap())
    });
    match poll(&mut writing) {
        Poll::Ready(stored) => Box::pin(ready(stored)),
        Poll::Pending => writing,
    }
}

fn poll(writing: &mut Writing) -> Poll<bool> {
    writing.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// All but the first of these writes have to wait.
async fn are_stored(provider: &Arc<SqliteProvider>, numbers: Range<u64>) {
    let writes: Vec<_> = numbers.map(|number| tokio::spawn(begin(provider, number))).collect();
    for write in writes {
        assert!(timeout(MINUTE, write).await.expect("stored in time").unwrap());
    }
}

async fn is_there(provider: &SqliteProvider, number: u64) -> bool {
    provider.read(&numbered(number), DAY).await.unwrap().is_some()
}

#[test]
fn a_runtime_that_ends_at_once_does_not_stop_the_others() {
    let lasting = runtime();
    let (provider, _directory) = lasting.block_on(patient());
    let short = runtime();
    let writes = short.block_on(async { [begin(&provider, 1), begin(&provider, 2)] });
    drop(short);
    drop(writes);
    lasting.block_on(are_stored(&provider, 10..20));
}

/// Such as the one of a thread that enters it for each of its writes.
#[test]
fn a_runtime_that_stands_still_does_not_stop_the_others() {
    let lasting = runtime();
    let (provider, _directory) = lasting.block_on(patient());
    let still = runtime();
    drop(still.block_on(async { [begin(&provider, 1), begin(&provider, 2)] }));
    lasting.block_on(are_stored(&provider, 10..20));
    drop(still);
}

#[test]
fn writes_need_no_runtime() {
    let lasting = runtime();
    let (provider, _directory) = lasting.block_on(patient());
    let mut writes: Vec<_> = (1..4).map(|number| begin(&provider, number)).collect();
    while !writes.is_empty() {
        writes.retain_mut(|writing| poll(writing).is_pending());
        thread::sleep(Duration::from_millis(1));
    }
    lasting.block_on(are_stored(&provider, 10..20));
}

#[tokio::test]
async fn a_caller_that_gives_up_before_the_transaction_begins_changes_nothing() {
    let (provider, directory) = patient().await;
    let other = lock(&directory).await;
    let first = begin(&provider, 1);
    let last = tokio::spawn(begin(&provider, 2));
    let impatient = begin(&provider, 3);
    // Its statement still waits for the other process, and the transaction of the others for that.
    drop(first);
    sleep(SOON).await;
    drop(impatient);
    unlock(other).await;
    assert!(last.await.unwrap());
    assert!(is_there(&provider, 2).await && !is_there(&provider, 3).await);
}

/// Makes the write of a session take a second or so.
async fn delay(directory: &TempDir, number: u64) {
    let key = numbered(number).to_text();
    let trigger = format!(
        "CREATE TRIGGER delay BEFORE INSERT ON session WHEN NEW.session_key = '{key}' BEGIN \
         SELECT sum(value) FROM (WITH RECURSIVE numbers (value) AS \
         (SELECT 1 UNION ALL SELECT value + 1 FROM numbers LIMIT 3000000) SELECT value FROM numbers); END"
    );
    sql(&file(directory), &trigger).await;
}

/// The transaction runs in the future of one of the callers.
#[test]
fn a_caller_that_gives_up_during_the_transaction_does_not_fail_the_others() {
    let (lasting, short) = (runtime(), runtime());
    let (provider, directory) = lasting.block_on(patient());
    lasting.block_on(delay(&directory, 3));
    let other = lasting.block_on(lock(&directory));
    let first = lasting.spawn(begin(&provider, 1));
    drop(short.spawn(begin(&provider, 2)));
    let others = [3, 4].map(|number| lasting.spawn(begin(&provider, number)));
    lasting.block_on(async {
        unlock(other).await;
        assert!(first.await.unwrap());
    });
    short.block_on(async { sleep(SOON).await });
    assert!(!others[0].is_finished(), "the transaction has not ended yet");
    drop(short);
    lasting.block_on(async {
        for write in others {
            assert!(timeout(MINUTE, write).await.expect("stored in time").unwrap());
        }
        for number in 1..5 {
            assert!(is_there(&provider, number).await, "{number}");
        }
        are_stored(&provider, 10..20).await;
        unlock(lock(&directory).await).await;
    });
}
