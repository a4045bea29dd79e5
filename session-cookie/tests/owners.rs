//! Ending all sessions of an owner: the marks on the list, the cost, and failures of the list.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_conformance::layers::{Fault, Faulty, Method, Spy};
use session_cookie::CookieProvider;
use session_core::clock::ManualClock;
use session_core::engine::OwnerIndex;
use session_core::id::Token;
use session_core::{ErrorKind, Manager, ManagerBuilder, Provider, Secret};
use session_file::FileProvider;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn list(directory: &TempDir, clock: &ManualClock) -> Arc<dyn Provider> {
    let builder = FileProvider::builder(directory.path()).clock(Arc::new(clock.clone()));
    Arc::new(builder.connect().await.unwrap())
}

fn over(list: Option<Arc<dyn Provider>>, clock: &ManualClock) -> ManagerBuilder {
    let key = Secret::new("0123456789abcdef0123456789abcdef");
    let mut builder = CookieProvider::builder().key(key).clock(Arc::new(clock.clone()));
    if let Some(list) = list {
        builder = builder.revocations(list);
    }
    Manager::builder(builder.build().unwrap()).clock(clock.clone())
}

async fn sign_in(manager: &Manager, user: &str) -> Token {
    let session = manager.create();
    session.sign_in(user).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

async fn visit(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("key", &1).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

async fn is_live(manager: &Manager, token: &Token) -> bool {
    manager.load(token).await.unwrap().is_some()
}

#[tokio::test]
async fn without_a_list_ending_all_sessions_is_an_error() {
    let manager = over(None, &ManualClock::default()).build().unwrap();
    assert_eq!(manager.provider().capabilities().owner_index, OwnerIndex::None);
    let token = sign_in(&manager, "ada").await;
    assert_eq!(manager.end_all("ada").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(is_live(&manager, &token).await);
}

/// A visitor's session costs as much as before; a user's one additional, concurrent call.
#[tokio::test]
async fn the_owner_of_a_session_costs_one_more_call() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let (list, spy) = Spy::on(list(&directory, &clock).await);
    let manager = over(Some(list), &clock).build().unwrap();
    let visitor = visit(&manager).await;
    assert_eq!(spy.take().len(), 0);
    assert!(is_live(&manager, &visitor).await);
    assert_eq!(spy.methods(), [Method::Exists]);

    let user = sign_in(&manager, "ada").await;
    assert_eq!(spy.methods(), [Method::Read]);
    let session = manager.load(&user).await.unwrap().unwrap();
    assert_eq!(spy.methods(), [Method::Exists, Method::Read]);
    session.set("key", &1).unwrap();
    session.release().await.unwrap();
    assert_eq!(spy.methods(), [Method::Exists, Method::Read]);
    manager.destroy(&user).await.unwrap();
    assert_eq!(spy.methods(), [Method::Write, Method::Read]);
    manager.end_all("ada").await.unwrap();
    assert_eq!(spy.methods(), [Method::Read, Method::Write]);
}

/// There is one mark for each owner, regardless of how often their sessions are ended; it is kept
/// for the maximum lifetime of a session.
#[tokio::test]
async fn an_owner_has_one_mark_until_all_earlier_sessions_have_ended() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let list = list(&directory, &clock).await;
    let year = over(Some(Arc::clone(&list)), &clock).idle_timeout(DAY * 400).absolute_timeout(DAY * 400);
    let manager = year.gc_interval(None).build().unwrap();
    let old = sign_in(&manager, "ada").await;
    for _ in 0..3 {
        manager.end_all("ada").await.unwrap();
    }
    assert_eq!(list.count().await.unwrap(), Some(1));
    let new = sign_in(&manager, "ada").await;
    clock.advance(DAY * 399);
    assert!(!is_live(&manager, &old).await && is_live(&manager, &new).await);
    clock.advance(DAY * 3);
    assert_eq!(manager.collect().await.unwrap(), 1);
    // The mark has expired, but the next epoch is still higher.
    let next = sign_in(&manager, "ada").await;
    manager.end_all("ada").await.unwrap();
    assert!(!is_live(&manager, &next).await && !is_live(&manager, &new).await);
}

#[tokio::test]
async fn a_user_cannot_have_a_session_that_outlives_the_mark() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let long =
        over(Some(list(&directory, &clock).await), &clock).absolute_timeout(DAY * 401).build().unwrap();
    visit(&long).await;
    let session = long.create();
    session.sign_in("ada").unwrap();
    let error = session.release().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("400 days"), "{error}");
}

#[tokio::test]
async fn an_end_that_fails_ends_nothing_or_all() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let (broken, faulty) = Faulty::on(list(&directory, &clock).await);
    let manager = over(Some(broken), &clock).build().unwrap();
    for fault in [Fault::Refused, Fault::Unknown, Fault::Lost] {
        for nth in 0..2 {
            let token = sign_in(&manager, "ada").await;
            faulty.strike(fault, nth, 1);
            let error = manager.end_all("ada").await.unwrap_err();
            assert!(faulty.heal());
            let ended = fault == Fault::Lost && nth == 1;
            assert_eq!(is_live(&manager, &token).await, !ended, "{fault:?} {nth}: {error}");
            manager.end_all("ada").await.unwrap();
            assert!(!is_live(&manager, &token).await);
        }
    }
}

/// A new id whose check fails half-way keeps or ends the session, and never leaves two.
#[tokio::test]
async fn a_new_id_during_a_failure_of_the_list_leaves_at_most_one_session() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let (broken, faulty) = Faulty::on(list(&directory, &clock).await);
    let manager = over(Some(broken), &clock).build().unwrap();
    for fault in [Fault::Refused, Fault::Unknown, Fault::Lost] {
        for nth in 0..2 {
            for times in [1, usize::MAX] {
                let old = sign_in(&manager, "ada").await;
                let session = manager.load(&old).await.unwrap().unwrap();
                session.regenerate().unwrap();
                faulty.strike(fault, nth, times);
                let released = session.release().await;
                faulty.heal();
                let new = session.token().unwrap();
                let lives = usize::from(is_live(&manager, &old).await)
                    + usize::from(new != old && is_live(&manager, &new).await);
                assert!(lives <= 1, "{fault:?} {nth} {times}");
                if released.is_ok() {
                    assert!(is_live(&manager, &new).await && new != old, "{fault:?} {nth} {times}");
                }
                if released.is_err_and(|error| error.kind() == ErrorKind::Unavailable) {
                    assert!(is_live(&manager, &old).await, "nothing was changed: {fault:?} {nth} {times}");
                }
            }
        }
    }
}

/// Tokens of a session whose owner has an epoch can be opened by another process, and are nine
/// bytes longer.
#[tokio::test]
async fn the_epoch_counts_against_the_limit_of_a_cookie() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let manager = over(Some(list(&directory, &clock).await), &clock).build().unwrap();
    manager.end_all("ada").await.unwrap();
    let most = manager.provider().capabilities().max_record_bytes.unwrap();
    let mut fits = None;
    for length in (0..most).rev() {
        let session = manager.create();
        session.set("long", &"x".repeat(length)).unwrap();
        session.sign_in("ada").unwrap();
        match session.release().await {
            Ok(()) => {
                fits = session.token();
                break;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge),
        }
    }
    let token = fits.unwrap();
    assert!(token.expose().len() + "__Host-session".len() <= 4_096);
    // The largest session can still get a new id.
    let session = manager.load(&token).await.unwrap().unwrap();
    session.regenerate().unwrap();
    session.release().await.unwrap();
}
