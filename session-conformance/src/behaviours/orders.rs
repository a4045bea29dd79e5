//! Two requests on one session in every order of their steps: what holds for one order holds for all.

use std::sync::Arc;

use session_core::id::Token;
use session_core::{ErrorKind, Manager, Result, Session};

use crate::layers::{ByWrites, Gates, Orders};
use crate::{Context, begin, number, open};

/// Two requests in one process, which share a queue, and in two.
async fn one_process_and_two(context: &Context) -> [[Manager; 2]; 2] {
    let here = context.manager_over(Gates::on(context.provider()));
    let there = context.manager_over(Gates::on(context.another().await));
    [[here.clone(), here.clone()], [here, there]]
}

/// The engine's own rename as one step, and the default one with a step for each write.
async fn both_renames(context: &Context) -> [[Manager; 2]; 2] {
    let there = Gates::on(context.another().await);
    let [here, there] = [Gates::on(context.provider()), there];
    let by_writes =
        [here.clone(), there.clone()].map(|inner| context.manager_over(Arc::new(ByWrites(inner))));
    [[here, there].map(|provider| context.manager_over(provider)), by_writes]
}

/// What a request comes to: `None` when it found no session, else its release and what the client then holds.
type Outcome = Option<(Result<()>, Option<Token>)>;

/// One request: load, change, release.
fn request(
    manager: &Manager,
    token: &Token,
    change: impl FnOnce(&Session) + Send + 'static,
) -> impl Future<Output = Outcome> + Send + 'static {
    let (manager, token) = (manager.clone(), token.clone());
    async move { release_after(manager.load(&token).await.expect("a load")?, change).await }
}

/// The rest of a request whose session was loaded.
async fn release_after(session: Session, change: impl FnOnce(&Session)) -> Outcome {
    change(&session);
    let released = session.release().await;
    Some((released, session.token()))
}

/// A logout without a load.
fn logout(manager: &Manager, token: &Token) -> impl Future<Output = Outcome> + Send + 'static {
    let (manager, token) = (manager.clone(), token.clone());
    async move {
        let ended = manager.destroy(&token).await.expect("a logout");
        ended.then_some((Ok(()), None))
    }
}

fn add_one(session: &Session) {
    session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
}

fn renew(session: &Session) {
    session.regenerate().expect("a new id");
}

fn is_ok(outcome: &Outcome) -> bool {
    matches!(outcome, Some((Ok(()), _)))
}

#[track_caller]
fn ok_or_gone(outcome: &Outcome, order: &str) {
    if let Some((Err(error), _)) = outcome {
        assert_eq!(error.kind(), ErrorKind::Gone, "{order}: {error}");
    }
}

async fn sessions_left(context: &Context) -> Option<u64> {
    if context.counts_exactly() { context.provider().count().await.expect("an answer") } else { None }
}

/// N updates count N.
pub async fn two_updates_count_two(context: Context) {
    for managers in one_process_and_two(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "counter", 0).await;
            let [first, second] =
                [&managers[0], &managers[1]].map(|manager| request(manager, &token, add_one));
            let outcomes = orders.play(first, second).await;
            assert!(outcomes.iter().all(is_ok), "{}", orders.name());
            assert_eq!(number(&managers[0], &token, "counter").await, Some(2), "{}", orders.name());
        }
        assert!(orders.played() > 50, "both had several steps");
    }
}

/// Different keys are both kept.
pub async fn two_sets_are_both_kept(context: Context) {
    for managers in one_process_and_two(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "key", 0).await;
            let first = request(&managers[0], &token, |session| session.set("first", &1).expect("a set"));
            let second = request(&managers[1], &token, |session| session.set("second", &2).expect("a set"));
            let outcomes = orders.play(first, second).await;
            assert!(outcomes.iter().all(is_ok), "{}", orders.name());
            let keys = open(&managers[0], &token).await.keys();
            assert_eq!(keys, ["first", "key", "second"], "{}", orders.name());
        }
    }
}

/// One of them gets it.
pub async fn of_two_takes_one_gets_it(context: Context) {
    for managers in one_process_and_two(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "ticket", 1).await;
            let take = |name: &'static str| {
                move |session: &Session| {
                    if session.take::<u64>("ticket").expect("a take").is_some() {
                        session.set(name, &true).expect("a set");
                    }
                }
            };
            let first = request(&managers[0], &token, take("first"));
            let second = request(&managers[1], &token, take("second"));
            for outcome in orders.play(first, second).await {
                if let Some((Err(error), _)) = outcome {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", orders.name());
                }
            }
            assert_eq!(open(&managers[0], &token).await.keys().len(), 1, "{}", orders.name());
        }
    }
}

/// Whatever the order, the session is over afterwards.
pub async fn an_update_beside_a_logout_leaves_nothing(context: Context) {
    for managers in one_process_and_two(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "counter", 0).await;
            let first = request(&managers[0], &token, add_one);
            let [updated, ended] = orders.play(first, logout(&managers[1], &token)).await;
            ok_or_gone(&updated, &orders.name());
            assert!(ended.is_some(), "{}: there was a session to end", orders.name());
            assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
            assert!(sessions_left(&context).await.is_none_or(|left| left == 0), "{}", orders.name());
        }
    }
}

/// A request that only moves the idle deadline brings nothing back either.
pub async fn a_touch_beside_a_logout_leaves_nothing(context: Context) {
    let after = std::time::Duration::from_millis(2);
    let touching = |provider| {
        let builder = context.builder_over(Gates::on(provider)).touch_after(after);
        builder.build().expect("a sound configuration")
    };
    let managers = [touching(context.provider()), touching(context.another().await)];
    let mut orders = Orders::default();
    while orders.another() {
        let token = begin(&managers[0], "key", 0).await;
        context.pass(after * 3).await;
        let first = request(&managers[0], &token, |_| {});
        let [read, ended] = orders.play(first, logout(&managers[1], &token)).await;
        assert!(read.is_none() || is_ok(&read), "{}", orders.name());
        assert!(ended.is_some(), "{}", orders.name());
        assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
        assert!(sessions_left(&context).await.is_none_or(|left| left == 0), "{}", orders.name());
    }
}

/// Both are told that the session is over; at least one that there was one.
pub async fn two_logouts_end_one_session(context: Context) {
    for managers in one_process_and_two(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "key", 0).await;
            let outcomes = orders.play(logout(&managers[0], &token), logout(&managers[1], &token)).await;
            assert_eq!(outcomes.iter().filter(|ended| ended.is_some()).count(), 1, "{}", orders.name());
            assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
        }
    }
}

/// An update that succeeded is under the new id; one that came too late was told so.
pub async fn an_update_beside_a_regeneration_is_kept_or_refused(context: Context) {
    for (managers, loaded) in both_renames(&context).await.into_iter().zip([false, true]) {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "counter", 0).await;
            let [renewed, updated] = if loaded {
                // The default rename has so many steps that the loads are left out of the play.
                let sessions = [open(&managers[0], &token).await, open(&managers[1], &token).await];
                let [renewing, updating] = sessions;
                orders.play(release_after(renewing, renew), release_after(updating, add_one)).await
            } else {
                let renewing = request(&managers[0], &token, renew);
                orders.play(renewing, request(&managers[1], &token, add_one)).await
            };
            assert!(is_ok(&renewed), "{}", orders.name());
            ok_or_gone(&updated, &orders.name());
            let new = renewed.and_then(|(_, token)| token).expect("a token");
            let expected = u64::from(is_ok(&updated));
            assert_eq!(number(&managers[0], &new, "counter").await, Some(expected), "{}", orders.name());
            assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
            assert!(sessions_left(&context).await.is_none_or(|left| left == 1), "{}", orders.name());
            managers[0].destroy(&new).await.expect("a logout");
        }
    }
}

/// One session with one id; the loser is told that its is gone.
pub async fn of_two_regenerations_one_wins(context: Context) {
    for managers in both_renames(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "counter", 7).await;
            // Loaded before: whoever loads later than the other has moved finds nothing, which is another test's.
            let sessions = [open(&managers[0], &token).await, open(&managers[1], &token).await];
            let [first, second] = sessions.map(|session| release_after(session, renew));
            let outcomes = orders.play(first, second).await;
            let winners: Vec<_> = outcomes.iter().filter(|outcome| is_ok(outcome)).collect();
            assert_eq!(winners.len(), 1, "{}", orders.name());
            for outcome in &outcomes {
                ok_or_gone(outcome, &orders.name());
            }
            let new = winners[0].as_ref().and_then(|(_, token)| token.clone()).expect("a token");
            assert_eq!(number(&managers[0], &new, "counter").await, Some(7), "{}", orders.name());
            assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
            assert!(sessions_left(&context).await.is_none_or(|left| left == 1), "{}", orders.name());
            managers[0].destroy(&new).await.expect("a logout");
        }
    }
}

/// The session is over, under either id.
pub async fn a_regeneration_beside_a_logout_leaves_nothing(context: Context) {
    for managers in both_renames(&context).await {
        let mut orders = Orders::default();
        while orders.another() {
            let token = begin(&managers[0], "counter", 0).await;
            let first = request(&managers[0], &token, renew);
            let [renewed, ended] = orders.play(first, logout(&managers[1], &token)).await;
            ok_or_gone(&renewed, &orders.name());
            assert!(ended.is_some(), "{}: there was a session to end", orders.name());
            assert!(managers[0].load(&token).await.expect("a load").is_none(), "{}", orders.name());
            if let Some((Ok(()), Some(new))) = renewed {
                assert!(managers[0].load(&new).await.expect("a load").is_none(), "{}", orders.name());
            }
            assert!(sessions_left(&context).await.is_none_or(|left| left == 0), "{}", orders.name());
        }
    }
}
