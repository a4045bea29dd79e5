//! The visibility of changes by another process.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use session_cache::{Cached, Settings};
use session_conformance::layers::{Method, Slow, Spy};
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::{ErrorKind, Manager, Provider, Session};
use session_memory::MemoryProvider;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    clock: ManualClock,
    here: Manager,
    there: Manager,
    spy: Arc<Spy>,
}

/// Two processes over one engine, each with a cache; the first one's calls are recorded.
fn world() -> World {
    let clock = ManualClock::default();
    let engine: Arc<dyn Provider> =
        Arc::new(MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap());
    let (spied, spy) = Spy::on(Slow::on(Arc::clone(&engine)));
    let manager = |engine| {
        let cached = Cached::over(engine, Settings::new().clock(clock.clone())).unwrap();
        Manager::builder(cached).clock(clock.clone()).gc_interval(None).build().unwrap()
    };
    World { here: manager(spied), there: manager(engine), clock: clock.clone(), spy }
}

async fn begin(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("n", &1_u64).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

async fn open(manager: &Manager, token: &Token) -> Session {
    manager.load(token).await.unwrap().unwrap()
}

async fn number(manager: &Manager, token: &Token) -> Option<u64> {
    manager.load(token).await.unwrap()?.get("n").unwrap()
}

async fn add(manager: &Manager, token: &Token) {
    let session = open(manager, token).await;
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).unwrap();
    session.release().await.unwrap();
}

#[tokio::test]
async fn a_read_asks_the_engine_once_within_the_time() {
    let World { clock, here, spy, .. } = world();
    let token = begin(&here).await;
    spy.take();
    for _ in 0..5 {
        assert_eq!(number(&here, &token).await, Some(1));
    }
    assert_eq!(spy.take().len(), 1);
    clock.advance(SECOND);
    assert_eq!(number(&here, &token).await, Some(1));
    assert_eq!(spy.take().len(), 1);
}

#[tokio::test]
async fn a_change_of_another_process_is_seen_within_the_time_and_not_overwritten() {
    let World { clock, here, there, .. } = world();
    let token = begin(&here).await;
    assert_eq!(number(&here, &token).await, Some(1));
    add(&there, &token).await;
    assert_eq!(number(&here, &token).await, Some(1), "stale, as declared");
    // A write over the stale record is a conflict, and merges.
    add(&here, &token).await;
    assert_eq!(number(&here, &token).await, Some(3));
    add(&there, &token).await;
    clock.advance(SECOND);
    assert_eq!(number(&here, &token).await, Some(4));
}

#[tokio::test]
async fn a_logout_of_another_process_is_seen_within_the_time_and_at_once_by_fresh_reads() {
    let World { clock, here, there, spy } = world();
    let token = begin(&here).await;
    let session = open(&here, &token).await;
    there.destroy(&token).await.unwrap();
    assert!(here.load(&token).await.unwrap().is_some(), "stale, as declared");
    assert_eq!(session.reload().await.unwrap_err().kind(), ErrorKind::Gone);
    assert!(here.load(&token).await.unwrap().is_none(), "what was asked for is known");

    let token = begin(&here).await;
    let session = open(&here, &token).await;
    add(&there, &token).await;
    spy.take();
    session.fresh().await.unwrap();
    assert_eq!(spy.take().len(), 1);
    assert_eq!(session.get::<u64>("n").unwrap(), Some(2));
    there.destroy(&token).await.unwrap();
    assert_eq!(session.fresh().await.unwrap_err().kind(), ErrorKind::Gone);

    let token = begin(&here).await;
    let session = open(&here, &token).await;
    there.destroy(&token).await.unwrap();
    session.set("n", &9_u64).unwrap();
    assert_eq!(session.release().await.unwrap_err().kind(), ErrorKind::Gone, "a write is never stale");

    let token = begin(&here).await;
    open(&here, &token).await;
    there.destroy(&token).await.unwrap();
    clock.advance(SECOND);
    assert!(here.load(&token).await.unwrap().is_none());
}

#[tokio::test]
async fn sessions_ended_by_this_process_are_gone_at_once() {
    let World { here, .. } = world();
    for step in 0..3 {
        let session = here.create();
        session.sign_in("ada").unwrap();
        session.release().await.unwrap();
        let token = session.token().unwrap();
        open(&here, &token).await;
        match step {
            0 => assert!(here.destroy(&token).await.unwrap()),
            1 => assert!(here.regenerate(&token).await.unwrap().is_some()),
            _ => assert!(here.end_all("ada").await.unwrap() > 0),
        }
        assert!(here.load(&token).await.unwrap().is_none(), "step {step}");
    }
}

#[tokio::test]
async fn a_read_concurrent_with_a_logout_leaves_nothing_behind() {
    let World { here, .. } = world();
    for _ in 0..50 {
        let token = begin(&here).await;
        let (read, ended) = tokio::join!(here.load(&token), here.destroy(&token));
        read.unwrap();
        assert!(ended.unwrap());
        assert!(here.load(&token).await.unwrap().is_none(), "a logout that was acknowledged is final");
    }
}

#[tokio::test]
async fn a_hundred_reads_at_the_same_time_ask_once() {
    let World { here, spy, .. } = world();
    let token = begin(&here).await;
    spy.take();
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let (here, token) = (here.clone(), token.clone());
            tokio::spawn(async move { number(&here, &token).await })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), Some(1));
    }
    assert_eq!(spy.take().len(), 1);
    // The reader that sent the request may be dropped: the others are answered.
    here.regenerate(&token).await.unwrap();
    let token = begin(&here).await;
    let mut first = Box::pin(here.load(&token));
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    let second = here.load(&token);
    drop(first);
    assert!(second.await.unwrap().is_some());
}

#[tokio::test]
async fn a_missing_session_is_requested_again() {
    let World { here, there, spy, .. } = world();
    let token = begin(&there).await;
    there.destroy(&token).await.unwrap();
    spy.take();
    for _ in 0..3 {
        assert!(here.load(&token).await.unwrap().is_none());
    }
    let reads = spy.take().into_iter().filter(|call| call.method == Method::Read).count();
    assert_eq!(reads, 3);
}

#[tokio::test]
async fn a_session_does_not_outlive_its_deadline_in_a_cache() {
    let clock = ManualClock::default();
    let engine = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let cached = Cached::new(engine, Settings::new().max_stale(SECOND * 60).clock(clock.clone())).unwrap();
    let manager = Manager::builder(cached).clock(clock.clone()).idle_timeout(SECOND * 30).build().unwrap();
    let token = begin(&manager).await;
    assert_eq!(number(&manager, &token).await, Some(1));
    clock.advance(SECOND * 31);
    assert!(manager.load(&token).await.unwrap().is_none());
}

#[tokio::test]
async fn invalid_settings_are_refused() {
    for settings in [
        Settings::new().max_stale(Duration::ZERO),
        Settings::new().max_stale(Duration::MAX),
        Settings::new().max_bytes(0),
    ] {
        let error = Cached::new(MemoryProvider::new(), settings).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}
