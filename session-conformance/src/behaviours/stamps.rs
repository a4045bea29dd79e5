//! A stamp always comes from one record: after an answer was lost, the version of one's own write
//! never goes with the compare token of somebody else's. An engine that compares its own token
//! would write over a record that nobody read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::id::Token;
use session_core::{Manager, Result, Session};

use crate::layers::Unheard;
use crate::{Context, begin, eventually, number, open};

fn set(session: &Session, key: &str) {
    session.set(key, &1_u64).expect("a set");
}

/// What the two releases of [`two_releases`] came to.
type Outcomes = [Result<()>; 2];

/// Two requests of one process were both refused once. The second attempt of the first one is
/// applied and not heard, and another process acts before the third; the second request waits for
/// its turn behind it.
async fn two_releases(
    context: &Context,
    other: &Manager,
    token: &Token,
    action: impl Future<Output = ()> + Send + 'static,
) -> Outcomes {
    let (provider, unheard) = Unheard::on(context.provider(), 1, action);
    let here = context.manager_over(provider);
    let (first, second) = (open(&here, token).await, open(&here, token).await);
    set(&first, "first");
    set(&second, "second");
    let ahead = open(other, token).await;
    set(&ahead, "ahead");
    ahead.release().await.expect("a release");

    let mut first = tokio::spawn(async move { first.release().await });
    tokio::select! {
        () = unheard.reached() => {}
        ended = &mut first => panic!("a release over an old version was not tried again: {ended:?}"),
    }
    let second = tokio::spawn(async move { second.release().await });
    eventually("the second request was refused too", async || unheard.answered() >= 2).await;
    // It goes from its refusal to the queue without another call that could be waited for.
    tokio::time::sleep(Duration::from_millis(20)).await;
    unheard.go();
    [first.await.expect("no panic"), second.await.expect("no panic")]
}

/// What another process was told to be stored is there afterwards, and so are both requests'
/// changes.
pub async fn a_write_of_another_process_survives_a_lost_answer(context: Context) {
    let other = context.manager_over(context.another().await);
    let token = begin(&other, "counter", 0).await;
    let acting = {
        let (other, token) = (other.clone(), token.clone());
        async move {
            let session = open(&other, &token).await;
            set(&session, "acknowledged");
            session.release().await.expect("a release");
        }
    };
    let outcomes = two_releases(&context, &other, &token, acting).await;
    for (outcome, key) in outcomes.into_iter().zip(["first", "second"]) {
        outcome.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(number(&other, &token, key).await, Some(1), "{key}");
    }
    assert_eq!(number(&other, &token, "ahead").await, Some(1));
    assert_eq!(number(&other, &token, "acknowledged").await, Some(1), "the other process was told so");
}

/// Another process regenerates the id and the user logs out: the old id stays dead.
pub async fn a_replaced_id_stays_dead_after_a_lost_answer(context: Context) {
    let other = context.manager_over(context.another().await);
    let token = begin(&other, "counter", 0).await;
    let acting = {
        let (other, token) = (other.clone(), token.clone());
        async move {
            let new = other.regenerate(&token).await.expect("a regeneration").expect("the session is there");
            assert!(other.load(&token).await.expect("a load").is_none(), "the old id is dead");
            assert!(other.destroy(&new).await.expect("a logout"));
        }
    };
    let [_, second] = two_releases(&context, &other, &token, acting).await;
    assert!(second.is_err(), "there is no session any more that could keep its change");
    assert!(other.load(&token).await.expect("a load").is_none(), "the old id stays dead");
    if context.counts_exactly() {
        assert_eq!(other.active().await.expect("an answer"), Some(0));
    }
}

/// A request releases, is not heard at first, and logs out. Another process has given the session a
/// new id meanwhile, or has written to it: the session is ended, wherever it is.
pub async fn a_logout_after_an_unheard_release_ends_the_session(context: Context) {
    for regenerates in [true, false] {
        let other = context.manager_over(context.another().await);
        let token = begin(&other, "counter", 0).await;
        let now = Arc::new(Mutex::new(token.clone()));
        let acting = {
            let (other, token, now) = (other.clone(), token.clone(), Arc::clone(&now));
            async move {
                let session = open(&other, &token).await;
                set(&session, "other");
                if regenerates {
                    session.regenerate().expect("a new id");
                }
                session.release().await.expect("a release");
                *now.lock().unwrap_or_else(PoisonError::into_inner) = session.token().expect("a token");
            }
        };
        let (provider, unheard) = Unheard::on(context.provider(), 0, acting);
        unheard.go();
        let session = open(&context.manager_over(provider), &token).await;
        set(&session, "first");
        let released = session.release().await;
        session.destroy().await.unwrap_or_else(|error| panic!("after {released:?}: {error}"));
        let now = now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for token in [&token, &now] {
            assert!(other.load(token).await.expect("a load").is_none(), "regenerated: {regenerates}");
        }
    }
}
