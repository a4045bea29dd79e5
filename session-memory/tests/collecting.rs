//! The automatic collection of expired sessions: its start, continuation and end.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::Arc;
use std::time::Duration;

use requests::{DAY, begin, memory};
use session_conformance::layers::{Around, Call, Layer, Method};
use session_core::clock::ManualClock;
use session_core::{Manager, Result};

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
