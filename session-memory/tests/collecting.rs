//! The automatic collection of expired sessions: its start, continuation and end.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::Arc;
use std::time::Duration;

use requests::{DAY, MINUTE, begin, memory};
use session_conformance::layers::{Around, Call, Layer, Method, Spy};
use session_core::clock::ManualClock;
use session_core::{ErrorKind, Manager, Result};

/// A batch is always full.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

#[session_conformance::async_trait]
impl Around for Counting {
    type Memo = ();
    async fn before(&self, call: &Call) -> Result<()> {
        if call.method == Method::Gc {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// A batch takes more than a second, in which one more session expires.
#[derive(Debug)]
struct Slow(ManualClock);

#[session_conformance::async_trait]
impl Around for Slow {
    type Memo = ();
    async fn before(&self, call: &Call) -> Result<()> {
        if call.method == Method::Gc {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            self.0.advance(MINUTE);
        }
        Ok(())
    }
}

/// An engine may end a slow batch early, so a small one is not the last.
#[tokio::test(start_paused = true)]
async fn a_collection_goes_on_when_a_slow_engine_ends_a_batch_early() {
    let clock = ManualClock::default();
    let slow = Layer::over(memory(&clock), &Arc::new(Slow(clock.clone())));
    let builder = Manager::builder_shared(slow).clock(clock.clone()).idle_timeout(MINUTE * 10);
    let manager = builder.gc_interval(None).build().unwrap();
    for _ in 0..8 {
        begin(&manager).await;
        clock.advance(MINUTE);
    }
    clock.advance(MINUTE);
    assert_eq!(manager.collect().await.unwrap(), 8);
}

#[test]
fn a_collection_continues_after_its_runtime_was_shut_down() {
    let clock = ManualClock::default();
    let provider = memory(&clock);
    let manager = Manager::builder_shared(Arc::clone(&provider))
        .clock(clock.clone())
        .gc_interval(Duration::from_millis(20))
        .build()
        .unwrap();
    for round in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            clock.advance(DAY);
            begin(&manager).await;
            for _ in 0..500 {
                if provider.count().await.unwrap() == Some(1) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("round {round}: {:?} sessions are kept", provider.count().await.unwrap());
        });
    }
}

#[tokio::test]
async fn a_collection_with_full_batches_ends_with_its_manager() {
    let clock = ManualClock::default();
    let counting = Arc::new(Counting::default());
    let provider = memory(&clock);
    let manager = Manager::builder_shared(Layer::over(Arc::clone(&provider), &counting))
        .clock(clock.clone())
        .gc_interval(None)
        .build()
        .unwrap();
    for _ in 0..20_000 {
        begin(&manager).await;
    }
    clock.advance(DAY);
    let collecting = tokio::spawn({
        let manager = manager.clone();
        async move {
            // The caller's handle lives as long as its call.
            let call = manager.collect();
            tokio::time::timeout(Duration::from_millis(30), call).await.is_err()
        }
    });
    assert!(collecting.await.unwrap());
    let task = manager.spawn_gc();
    drop(manager);
    for _ in 0..200 {
        if task.is_stopped() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(task.is_stopped());
    let before = counting.0.load(std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(counting.0.load(std::sync::atomic::Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_runs_is_not_started_twice() {
    let counting = Arc::new(Counting::default());
    let provider = Layer::over(memory(&ManualClock::default()), &counting);
    let manager = Manager::builder_shared(provider).gc_interval(MINUTE).build().unwrap();
    let _tasks = [manager.spawn_gc(), manager.spawn_gc()];
    tokio::time::sleep(MINUTE * 10 + MINUTE / 2).await;
    let collections = counting.0.load(std::sync::atomic::Ordering::SeqCst);
    assert!((9..=11).contains(&collections), "{collections} within ten minutes");
}

const MAINTENANCE: Duration = Duration::from_secs(30);

/// The first so many batches are not answered.
#[derive(Debug)]
struct Unanswered(std::sync::atomic::AtomicUsize);

#[session_conformance::async_trait]
impl Around for Unanswered {
    type Memo = ();
    async fn before(&self, call: &Call) -> Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        if call.method == Method::Gc
            && self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_answered_is_made_smaller_and_the_smallest_fails() {
    for (unanswered, fails) in [(1, false), (4, false), (5, true), (usize::MAX, true)] {
        let clock = ManualClock::default();
        let layer = Arc::new(Unanswered(unanswered.into()));
        let provider = Layer::over(memory(&clock), &layer);
        let builder = Manager::builder_shared(provider).clock(clock.clone()).gc_interval(None);
        let manager = builder.maintenance_timeout(MAINTENANCE).build().unwrap();
        for _ in 0..20 {
            begin(&manager).await;
        }
        clock.advance(DAY);
        let begun = tokio::time::Instant::now();
        let collected = tokio::time::timeout(DAY, manager.collect()).await.expect("an end");
        if fails {
            let four = Duration::from_secs(5) * 4;
            assert!(begun.elapsed() >= four + MAINTENANCE, "the smallest has the time of maintenance");
        } else {
            let whole = Duration::from_secs(5) * u32::try_from(unanswered).unwrap();
            assert!(begun.elapsed() < whole + Duration::from_secs(1), "each has the time of an operation");
        }
        match collected {
            Ok(removed) => assert!(!fails && removed == 20, "{removed} after {unanswered}"),
            Err(error) => assert!(fails && error.kind() == ErrorKind::Unavailable, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_collection_of_several_batches_says_how_many_sessions_it_removed() {
    let clock = ManualClock::default();
    let manager =
        Manager::builder_shared(memory(&clock)).clock(clock.clone()).gc_interval(None).build().unwrap();
    for _ in 0..2_500 {
        begin(&manager).await;
    }
    clock.advance(DAY);
    assert_eq!(manager.collect().await.unwrap(), 2_500);
}

/// Of 2,500 sessions: a batch of 1,000, which is not answered, then 250, 500, 1,000 and the rest.
#[tokio::test(start_paused = true)]
async fn batches_grow_again_after_one_that_was_not_answered() {
    let clock = ManualClock::default();
    let (provider, spy) = Spy::on(Layer::over(memory(&clock), &Arc::new(Unanswered(1.into()))));
    let manager = Manager::builder_shared(provider).clock(clock.clone()).gc_interval(None).build().unwrap();
    for _ in 0..2_500 {
        begin(&manager).await;
    }
    clock.advance(DAY);
    spy.take();
    assert_eq!(manager.collect().await.unwrap(), 2_500);
    assert_eq!(spy.methods(), [Method::Gc; 5]);
}
