//! Clients that hang up, and handlers that panic: what has begun is finished, and what has not is not done.

use std::sync::Arc;
use std::time::Duration;

use session_core::transport::Connection;
use session_core::{ErrorKind, Manager};

use super::nothing::presenting;
use super::renaming::both;
use crate::cut::{Polls, cut};
use crate::layers::{Around, Call, Layer, Slow, Spy};
use crate::{Context, begin, eventually, fails, number, open};

fn slow(context: &Context) -> Manager {
    context.manager_over(Slow::on(context.provider()))
}

async fn nothing_else_is_left(context: &Context, sessions: u64) {
    if context.counts_exactly() {
        assert_eq!(context.provider().count().await.expect("an answer"), Some(sessions));
    }
}

/// A release that has begun is finished, exactly once.
pub async fn a_release_that_has_begun_is_finished(context: Context) {
    let manager = slow(&context);
    let token = begin(&manager, "counter", 0).await;
    let mut polls = Polls::from(1);
    while let Some(cut_at) = polls.next_cut() {
        let session = open(&manager, &token).await;
        session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        polls.done(cut(cut_at, session.release()).await);
        let counted = async || number(&manager, &token, "counter").await == Some(cut_at as u64);
        eventually("the release is finished", counted).await;
    }
}

/// Also one that must merge first.
pub async fn a_merge_that_has_begun_is_finished(context: Context) {
    let manager = slow(&context);
    let mut polls = Polls::from(1);
    while let Some(cut_at) = polls.next_cut() {
        let token = begin(&manager, "counter", 0).await;
        let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
        for session in [&first, &second] {
            session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        }
        first.release().await.expect("a release");
        polls.done(cut(cut_at, second.release()).await);
        let counted = async || number(&manager, &token, "counter").await == Some(2);
        eventually("the release is finished", counted).await;
    }
}

/// Changes that nobody released are nobody's.
pub async fn what_was_not_released_is_not_stored(context: Context) {
    let (watched, spy) = Spy::on(context.provider());
    let manager = context.manager_over(watched);
    let token = begin(&manager, "key", 1).await;
    let (never_polled, dropped) = (open(&manager, &token).await, open(&manager, &token).await);
    spy.take();
    never_polled.set("key", &2).expect("a set");
    assert!(cut(0, never_polled.release()).await.is_none());
    dropped.set("key", &3).expect("a set");
    drop((never_polled, dropped));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(spy.methods(), []);
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// A session that begins is stored once, and the handle learns its token.
pub async fn a_create_that_has_begun_is_finished(context: Context) {
    let manager = slow(&context);
    let mut polls = Polls::from(1);
    while let Some(cut_at) = polls.next_cut() {
        let session = manager.create();
        session.set("key", &1).expect("a set");
        polls.done(cut(cut_at, session.release()).await);
        eventually("the create is finished", async || session.token().is_some()).await;
        let token = session.token().expect("a token");
        assert_eq!(number(&manager, &token, "key").await, Some(1));
        nothing_else_is_left(&context, 1).await;
        manager.destroy(&token).await.expect("a logout");
    }
}

/// A logout that has begun is a logout, by whichever way it was asked for.
pub async fn a_logout_that_has_begun_is_finished(context: Context) {
    let manager = slow(&context);
    for way in 0..3 {
        let mut polls = Polls::from(1);
        while let Some(cut_at) = polls.next_cut() {
            let token = begin(&manager, "key", 1).await;
            let (session, request) = (open(&manager, &token).await, presenting(&manager, &token));
            polls.done(match way {
                0 => cut(cut_at, session.destroy()).await.map(|ended| ended.expect("a logout")),
                1 => cut(cut_at, request.destroy()).await.map(|ended| ended.expect("a logout")),
                _ => {
                    cut(cut_at, manager.destroy(&token)).await.map(|ended| assert!(ended.expect("a logout")))
                }
            });
            let ended = async || manager.load(&token).await.expect("a load").is_none();
            eventually("the logout is finished", ended).await;
        }
    }
}

/// A regeneration that has begun is finished: one session, one id.
pub async fn a_regeneration_that_has_begun_is_finished(context: Context) {
    for provider in both(&context) {
        let manager = context.manager_over(Slow::on(provider));
        let mut polls = Polls::from(1);
        while let Some(cut_at) = polls.next_cut() {
            let old = begin(&manager, "key", 1).await;
            let session = open(&manager, &old).await;
            session.regenerate().expect("a new id");
            polls.done(cut(cut_at, session.release()).await);
            eventually("the regeneration is finished", async || session.token().as_ref() != Some(&old)).await;
            let new = session.token().expect("a token");
            assert_eq!(number(&manager, &new, "key").await, Some(1));
            assert!(manager.load(&old).await.expect("a load").is_none());
            nothing_else_is_left(&context, 1).await;
            manager.destroy(&new).await.expect("a logout");
        }
    }
}

/// A load that is given up changes nothing, and another one who waits for the same load gets the session.
pub async fn a_load_that_is_given_up_is_nobodys_loss(context: Context) {
    let manager = slow(&context);
    let token = begin(&manager, "key", 1).await;
    let mut polls = Polls::from(0);
    while let Some(cut_at) = polls.next_cut() {
        let request = Arc::new(presenting(&manager, &token));
        let waiting = tokio::spawn({
            let request = Arc::clone(&request);
            async move { request.session().await }
        });
        polls.done(cut(cut_at, request.session()).await);
        let session = waiting.await.expect("no panic").expect("the session");
        assert_eq!(session.get::<u64>("key").expect("a number"), Some(1));
        request.finish(Connection::default()).await.expect("nothing to do");
    }
}

/// A handler that panics stores nothing.
pub async fn a_panic_in_a_handler_stores_nothing(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let session = open(&manager, &token).await;
    let handler = tokio::spawn(async move {
        session.set("key", &2).expect("a set");
        session.regenerate().expect("a new id");
        quietly("a test's handler panics");
    });
    assert!(handler.await.is_err());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(number(&manager, &token, "key").await, Some(1));
    nothing_else_is_left(&context, 1).await;
}

/// A panic without the noise that would look like a failure.
fn quietly(message: &'static str) {
    std::panic::resume_unwind(Box::new(message));
}

/// An update function that panics, at its first run or when it runs again to merge: the store is as it was, the handle
/// is not stuck, and the other requests go on.
pub async fn a_panic_in_an_update_stores_nothing(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "counter", 1).await;
    let (panicking, other) = (open(&manager, &token).await, open(&manager, &token).await);
    let first_run = tokio::spawn({
        let session = panicking.clone();
        async move {
            let _ = session.update("counter", |old: Option<u64>| {
                quietly("a test's update panics");
                old.unwrap_or(0)
            });
        }
    });
    assert!(first_run.await.is_err());
    assert_eq!(panicking.get::<u64>("counter").expect("a number"), Some(1), "nothing happened");

    let mut runs = 0;
    let merging = move |old: Option<u64>| {
        runs += 1;
        if runs > 1 {
            quietly("a test's update panics when it runs again");
        }
        old.unwrap_or(0) + 1
    };
    panicking.update("counter", merging).expect("the first run is well");
    other.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    other.release().await.expect("a release");
    let release = tokio::spawn({
        let session = panicking.clone();
        async move { session.release().await }
    });
    assert!(release.await.is_err(), "the panic reaches its request");
    fails(panicking.release().await, ErrorKind::Released);
    assert_eq!(number(&manager, &token, "counter").await, Some(2));
    let next = open(&manager, &token).await;
    next.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    next.release().await.expect("nothing is stuck");
    assert_eq!(number(&manager, &token, "counter").await, Some(3));
}

/// A release that has begun is finished when something beside it in its request panics.
pub async fn a_panic_beside_a_release_does_not_stop_it(context: Context) {
    let manager = slow(&context);
    let token = begin(&manager, "key", 1).await;
    let session = open(&manager, &token).await;
    session.set("key", &2).expect("a set");
    let request = tokio::spawn(async move {
        let mut release = Box::pin(session.release());
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(release.as_mut().poll(context)))
                .await
                .is_pending()
        );
        quietly("a test's request panics");
    });
    assert!(request.await.is_err());
    let stored = async || number(&manager, &token, "key").await == Some(2);
    eventually("the release is finished", stored).await;
}

/// Panics in the next call.
#[derive(Debug, Default)]
struct Panicking(std::sync::atomic::AtomicBool);

#[crate::async_trait]
impl Around for Panicking {
    type Memo = ();

    async fn before(&self, _: &Call) -> session_core::Result<()> {
        if self.0.swap(false, std::sync::atomic::Ordering::SeqCst) {
            quietly("a test's engine panics");
        }
        Ok(())
    }

    async fn after(&self, _: &Call, (): ()) -> session_core::Result<()> {
        Ok(())
    }
}

/// An engine that panics fails its request, and leaves no handle that waits for ever.
pub async fn a_panic_in_an_engine_leaves_nothing_stuck(context: Context) {
    let panicking = Arc::new(Panicking::default());
    let manager = context.manager_over(Layer::over(context.provider(), &panicking));
    for logout in [false, true] {
        let token = begin(&manager, "key", 1).await;
        let session = open(&manager, &token).await;
        session.set("key", &2).expect("a set");
        panicking.0.store(true, std::sync::atomic::Ordering::SeqCst);
        let request = tokio::spawn({
            let session = session.clone();
            async move { if logout { session.destroy().await } else { session.release().await } }
        });
        assert!(request.await.is_err(), "the panic reaches its request");
        fails(session.set("key", &3), ErrorKind::Released);
        fails(session.release().await, ErrorKind::Released);
        session.destroy().await.expect("a logout");
        assert!(manager.load(&token).await.expect("a load").is_none());
    }
}
