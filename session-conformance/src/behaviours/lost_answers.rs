//! Lost responses: an acknowledged change is applied exactly once, one with an unknown outcome at
//! most once.

use std::sync::{Arc, Mutex, PoisonError};

use session_core::id::Token;
use session_core::{ErrorKind, Manager};

use super::renaming::both;
use crate::layers::{ByWrites, Delayed, Fault, Faulty, LastMoment, Meddler, Method, Spy};
use crate::{Context, begin, fails, number, open, side_by_side};

async fn add_one(manager: &Manager, token: &Token) -> session_core::Result<()> {
    let session = open(manager, token).await;
    session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.release().await
}

/// One lost call of any kind is recovered: the update counts once.
pub async fn one_lost_answer_counts_once(context: Context) {
    side_by_side(Fault::ALL.map(|fault| {
        let context = context.clone();
        async move {
            let (provider, faulty) = Faulty::on(context.provider());
            let manager = context.impatient(provider);
            let token = begin(&context.manager(), "counter", 10).await;
            let session = open(&manager, &token).await;
            session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            faulty.strike(fault, 0, 1);
            session.release().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert!(faulty.heal());
            assert_eq!(session.get::<u64>("counter").expect("a number"), Some(11), "{fault:?}");
            assert_eq!(number(&manager, &token, "counter").await, Some(11), "{fault:?}");
        }
    }))
    .await;
}

/// When every response is lost, the release fails with an unknown outcome (or as unavailable, if
/// nothing was sent), and the update counts at most once.
pub async fn when_all_answers_are_lost_it_counts_at_most_once(context: Context) {
    side_by_side(Fault::ALL.map(|fault| {
        let context = context.clone();
        async move {
            let (provider, faulty) = Faulty::on(context.provider());
            let manager = context.impatient(provider);
            let token = begin(&context.manager(), "counter", 10).await;
            let session = open(&manager, &token).await;
            session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            faulty.down(fault);
            let kind =
                if fault == Fault::Refused { ErrorKind::Unavailable } else { ErrorKind::OutcomeUnknown };
            fails(session.release().await, kind);
            fails(session.release().await, kind);
            faulty.heal();
            let expected = if fault.applies() { 11 } else { 10 };
            assert_eq!(number(&manager, &token, "counter").await, Some(expected), "{fault:?}");
            add_one(&manager, &token).await.expect("the next request");
            assert_eq!(number(&manager, &token, "counter").await, Some(expected + 1), "{fault:?}");
        }
    }))
    .await;
}

/// Other processes write between the loss and the retry. As long as the record has the version, the
/// update is known to be stored; afterwards the outcome is unknown, but it never counts twice.
pub async fn others_write_before_the_second_try(context: Context) {
    for others in [1, 3, 6, 7, 8, 9, 20] {
        let other = context.manager_over(context.another().await);
        let token = begin(&other, "counter", 0).await;
        let meddling = {
            let token = token.clone();
            async move {
                for _ in 0..others {
                    add_one(&other, &token).await.expect("the others succeed");
                }
            }
        };
        let manager = context.manager_over(Meddler::on(context.provider(), Method::Write, meddling));
        match add_one(&manager, &token).await {
            Ok(()) => {}
            lost if others > 6 => fails(lost, ErrorKind::OutcomeUnknown),
            other => panic!("after {others} writes of others: {other:?}"),
        }
        assert_eq!(number(&manager, &token, "counter").await, Some(others + 1), "applied once");
    }
}

/// The user logs out between the loss and the retry, with or without many other writes before: the
/// outcome of the lost write is unknown, and nothing is revived.
pub async fn a_logout_before_the_second_try_is_unknown(context: Context) {
    for others in [0, 1, 9] {
        let other = context.manager_over(context.another().await);
        let token = begin(&other, "counter", 0).await;
        let meddling = {
            let (other, token) = (other.clone(), token.clone());
            async move {
                for _ in 0..others {
                    add_one(&other, &token).await.expect("the others succeed");
                }
                assert!(other.destroy(&token).await.expect("a logout"));
            }
        };
        let manager = context.manager_over(Meddler::on(context.provider(), Method::Write, meddling));
        fails(add_one(&manager, &token).await, ErrorKind::OutcomeUnknown);
        assert!(other.load(&token).await.expect("a load").is_none());
    }
}

/// It never reached the engine, and others write before the retry: the update is merged and counts
/// once.
pub async fn what_never_arrived_is_merged_at_the_second_try(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let token = begin(&here, "counter", 0).await;
    let (provider, faulty) = Faulty::on(context.provider());
    let manager = context.impatient(provider);
    let session = open(&manager, &token).await;
    session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    for _ in 0..3 {
        add_one(&there, &token).await.expect("the others succeed");
    }
    faulty.strike(Fault::Unknown, 0, 1);
    session.release().await.expect("a release");
    assert!(faulty.heal());
    assert_eq!(number(&here, &token, "counter").await, Some(4));
}

/// A one-time value is taken once, even if the response to the take was lost.
pub async fn a_take_whose_answer_is_lost_is_taken_once(context: Context) {
    side_by_side([Fault::Lost, Fault::LostAndHangs].map(|fault| {
        let context = context.clone();
        async move {
            let (provider, faulty) = Faulty::on(context.provider());
            let manager = context.impatient(provider);
            let token = begin(&context.manager(), "ticket", 5).await;
            let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
            assert_eq!(first.take::<u64>("ticket").expect("a take"), Some(5));
            assert_eq!(second.take::<u64>("ticket").expect("a take"), Some(5));
            faulty.strike(fault, 0, 1);
            first.release().await.expect("it was applied");
            assert!(faulty.heal());
            fails(second.release().await, ErrorKind::Conflict);
        }
    }))
    .await;
}

/// A create is retried under another id: no client knows the one that may have been stored.
pub async fn a_create_is_tried_again_under_another_id(context: Context) {
    side_by_side(Fault::ALL.map(|fault| {
        let context = context.clone();
        async move {
            let (watched, spy) = Spy::on(context.provider());
            let (provider, faulty) = Faulty::on(watched);
            let (outer, asked) = Spy::on(provider);
            let manager = context.impatient(outer);
            let session = manager.create();
            session.set("key", &1).expect("a set");
            faulty.strike(fault, 0, 1);
            session.release().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            faulty.heal();
            let token = session.token().expect("a token");
            assert_eq!(number(&manager, &token, "key").await, Some(1), "{fault:?}");
            let tries: Vec<_> =
                asked.take().into_iter().filter(|call| call.method == Method::Write).collect();
            assert_eq!(tries.len(), 2, "{fault:?}");
            assert_ne!(tries[0].id, tries[1].id, "{fault:?}");
            let arrived = spy.take().into_iter().filter(|call| call.method == Method::Write).count();
            assert_eq!(arrived, 1 + usize::from(fault.applies()), "{fault:?}");
            assert!(manager.destroy(&token).await.expect("a logout"));
            assert!(manager.load(&token).await.expect("a load").is_none());
        }
    }))
    .await;
}

/// A logout whose response is lost is still a logout.
pub async fn a_logout_whose_answer_is_lost_is_a_logout(context: Context) {
    side_by_side(Fault::ALL.map(|fault| {
        let context = context.clone();
        async move {
            let (provider, faulty) = Faulty::on(context.provider());
            let manager = context.impatient(provider);
            let tokens =
                [begin(&context.manager(), "key", 1).await, begin(&context.manager(), "key", 1).await];
            let session = open(&manager, &tokens[0]).await;
            faulty.strike(fault, 0, 1);
            session.destroy().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert!(faulty.heal());
            faulty.strike(fault, 0, 1);
            assert!(
                manager.destroy(&tokens[1]).await.expect("a logout"),
                "{fault:?}: there was a session to end"
            );
            assert!(faulty.heal());
            for token in &tokens {
                assert!(manager.load(token).await.expect("a load").is_none(), "{fault:?}");
            }
        }
    }))
    .await;
}

/// A regeneration whose response is lost is done once: one session, with the id that the client
/// gets.
pub async fn a_regeneration_whose_answer_is_lost_is_done_once(context: Context) {
    let mut cases = Vec::new();
    for fault in Fault::ALL {
        for provider in both(&context) {
            let (provider, faulty) = Faulty::on(provider);
            cases.push((context.impatient(provider), faulty, fault, 0));
        }
        for nth in 0..2 {
            let (inner, faulty) = Faulty::on(context.provider());
            cases.push((context.impatient(Arc::new(ByWrites(inner))), faulty, fault, nth));
        }
    }
    let sessions = cases.len() as u64;
    let renewed = Arc::new(Mutex::new(Vec::new()));
    side_by_side(cases.into_iter().map(|(manager, faulty, fault, nth)| {
        let (renewed, usual) = (Arc::clone(&renewed), context.manager());
        async move {
            let tokens = regenerate_with(&usual, &manager, &faulty, fault, nth).await;
            renewed.lock().unwrap_or_else(PoisonError::into_inner).push(tokens);
        }
    }))
    .await;
    let manager = context.manager();
    if context.counts_exactly() {
        assert_eq!(manager.active().await.expect("an answer"), Some(sessions), "and nothing else");
    }
    let renewed = std::mem::take(&mut *renewed.lock().unwrap_or_else(PoisonError::into_inner));
    for (old, new) in renewed {
        assert!(manager.destroy(&old).await.expect("a logout"), "the old id leads to the new one");
        assert!(manager.load(&new).await.expect("a load").is_none());
    }
}

async fn regenerate_with(
    usual: &Manager,
    manager: &Manager,
    faulty: &Faulty,
    fault: Fault,
    nth: usize,
) -> (Token, Token) {
    let old = begin(usual, "counter", 1).await;
    let session = open(manager, &old).await;
    session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.regenerate().expect("a new id");
    faulty.strike(fault, nth, 1);
    session.release().await.unwrap_or_else(|error| panic!("{fault:?} at {nth}: {error}"));
    assert!(faulty.heal());
    let new = session.token().expect("a token");
    assert_eq!(number(manager, &new, "counter").await, Some(2), "{fault:?} at {nth}");
    assert!(manager.load(&old).await.expect("a load").is_none(), "{fault:?} at {nth}");
    (old, new)
}

/// The response to a regeneration comes when the manager has given up waiting for it, and just
/// before the second call is made: the session has the first new id.
pub async fn a_regeneration_whose_answer_comes_with_the_second_try_is_done_once(context: Context) {
    let usual = context.manager();
    side_by_side(both(&context).map(|inner| {
        let manager = context.impatient(LastMoment::on(inner, Method::Rename));
        let usual = usual.clone();
        async move {
            let old = begin(&usual, "counter", 1).await;
            let session = open(&manager, &old).await;
            session.regenerate().expect("a new id");
            session.release().await.expect("a new id");
            let new = session.token().expect("a token");
            assert_eq!(number(&usual, &new, "counter").await, Some(1));
            assert!(usual.load(&old).await.expect("a load").is_none());
        }
    }))
    .await;
}

/// The user logs out between the loss and the retry: the session is not revived.
pub async fn a_logout_before_the_second_try_of_a_regeneration_holds(context: Context) {
    for inner in both(&context) {
        let other = context.manager_over(context.another().await);
        let old = begin(&other, "key", 1).await;
        let meddling = {
            let (other, old) = (other.clone(), old.clone());
            async move { assert!(other.destroy(&old).await.expect("a logout"), "it follows the new id") }
        };
        let manager = context.manager_over(Meddler::on(inner, Method::Rename, meddling));
        let session = open(&manager, &old).await;
        session.regenerate().expect("a new id");
        if session.release().await.is_ok() {
            let new = session.token().expect("a token");
            assert!(other.load(&new).await.expect("a load").is_none());
        }
        assert!(other.load(&old).await.expect("a load").is_none());
        if context.counts_exactly() {
            assert_eq!(other.active().await.expect("an answer"), Some(0));
        }
    }
}

/// The first attempt of an update arrives after the second one, and after a logout: it changes
/// nothing.
pub async fn a_late_update_changes_nothing(context: Context) {
    let other = context.manager();
    for logout in [false, true] {
        let token = begin(&other, "counter", 0).await;
        let delayed = Delayed::on(context.provider());
        add_one(&context.manager_over(delayed.clone()), &token).await.expect("the second attempt succeeds");
        add_one(&other, &token).await.expect("the next request");
        if logout {
            other.destroy(&token).await.expect("a logout");
        }
        delayed.deliver().await;
        assert_eq!(number(&other, &token, "counter").await, (!logout).then_some(2));
    }
}

/// The first attempt of a create arrives after the logout: nothing is revived under the client's
/// id.
pub async fn a_late_create_brings_nobody_back(context: Context) {
    let delayed = Delayed::on(context.provider());
    let manager = context.manager_over(delayed.clone());
    let token = begin(&manager, "user", 1).await;
    assert!(manager.destroy(&token).await.expect("a logout"));
    delayed.deliver().await;
    assert!(manager.load(&token).await.expect("a load").is_none());
    assert!(!manager.destroy(&token).await.expect("a second logout"));
}

/// The first attempt of a regeneration arrives after the second one, and after a logout.
pub async fn a_late_regeneration_brings_nobody_back(context: Context) {
    let other = context.manager();
    for logout in [false, true] {
        for inner in both(&context) {
            let old = begin(&other, "key", 1).await;
            let delayed = Delayed::on(inner);
            let session = open(&context.manager_over(delayed.clone()), &old).await;
            session.regenerate().expect("a new id");
            session.release().await.expect("the second attempt succeeds");
            let new = session.token().expect("a token");
            if logout {
                assert!(other.destroy(&old).await.expect("a logout"), "it follows the new id");
            }
            delayed.deliver().await;
            assert_eq!(number(&other, &new, "key").await, (!logout).then_some(1));
            assert!(other.load(&old).await.expect("a load").is_none());
            other.destroy(&new).await.expect("a logout");
        }
    }
}
