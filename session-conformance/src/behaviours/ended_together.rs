//! Engines that end all sessions of an owner, and cannot list them.

use session_core::engine::OwnerIndex;
use session_core::id::Token;
use session_core::{ErrorKind, Manager};

use super::owners::somebody;
use crate::{Context, begin, fails, open};

fn ends_all(context: &Context) -> bool {
    context.capabilities().owner_index == OwnerIndex::EndsAll
}

/// Signs a user in, in a new session.
async fn sign_in(manager: &Manager, user: &str) -> Token {
    let session = manager.create();
    session.sign_in(user).expect("a sign-in");
    session.release().await.expect("a sign-in is stored");
    session.token().expect("a token")
}

async fn is_live(manager: &Manager, token: &Token) -> bool {
    manager.load(token).await.expect("a load").is_some()
}

/// All sessions of a user end at once, in every process, and no other user's; a later sign-in is a
/// new session.
pub async fn all_sessions_of_a_user_end(context: Context) {
    let manager = context.manager();
    if !ends_all(&context) {
        return;
    }
    let other = context.manager_over(context.another().await);
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    let ended = [sign_in(&manager, &ada).await, sign_in(&other, &ada).await];
    let visitor = begin(&manager, "key", 1).await;
    let kept = [sign_in(&manager, &bob).await, visitor.clone()];
    let (writing, reading) = (open(&manager, &ended[0]).await, open(&manager, &ended[0]).await);
    other.end_all(&ada).await.expect("an end");
    for manager in [&manager, &other] {
        for token in &ended {
            assert!(!is_live(manager, token).await && !manager.exists(token).await.expect("an answer"));
            assert!(!manager.destroy(token).await.expect("a logout"), "it had ended");
        }
        for token in &kept {
            assert!(is_live(manager, token).await);
        }
    }
    writing.set("late", &1).expect("a set");
    fails(writing.release().await, ErrorKind::Gone);
    reading.release().await.expect("a request that only read is unaffected");
    assert!(!is_live(&manager, &reading.token().expect("the token of before")).await);

    let session = open(&manager, &visitor).await;
    session.sign_in(&ada).expect("a sign-in");
    session.release().await.expect("a sign-in is stored");
    let again = [sign_in(&manager, &ada).await, session.token().expect("a new token")];
    for manager in [&manager, &other] {
        for token in &again {
            assert!(is_live(manager, token).await, "signed in again");
        }
    }
    manager.end_all(&ada).await.expect("an end");
    for token in again.iter().chain(&ended) {
        assert!(!is_live(&other, token).await);
    }
    assert!(is_live(&other, &kept[0]).await);
}

/// A user signs out everywhere; calls for a single session return an error that says so.
pub async fn they_end_together_and_are_not_listed(context: Context) {
    let manager = context.manager();
    if !ends_all(&context) {
        return;
    }
    let (ada, _) = somebody(&context);
    let (here, phone) = (sign_in(&manager, &ada).await, sign_in(&manager, &ada).await);
    let session = open(&manager, &here).await;
    let handle = session.handle().expect("a handle");
    fails(manager.sessions_of(&ada).next_page().await, ErrorKind::Unsupported);
    fails(manager.end(&ada, &handle).await, ErrorKind::Unsupported);
    fails(manager.end_others(&session).await, ErrorKind::Unsupported);
    fails(manager.credentials_changed(&session).await, ErrorKind::Unsupported);
    assert!(!session.is_modified(), "nothing is partially done");
    for token in [&here, &phone] {
        assert!(is_live(&manager, token).await);
    }
    manager.sign_out_everywhere(&session).await.expect("an end");
    for token in [&here, &phone] {
        assert!(!is_live(&manager, token).await);
    }
}

/// A sign-in concurrent with "end all" is ended by it or by the next one; an earlier one is ended.
pub async fn a_sign_in_beside_end_all_is_not_missed(context: Context) {
    let manager = context.manager();
    if !ends_all(&context) {
        return;
    }
    let another = context.manager_over(context.another().await);
    for _ in 0..8 {
        let (ada, _) = somebody(&context);
        let before = sign_in(&manager, &ada).await;
        let visitor = begin(&manager, "key", 1).await;
        let late = async {
            let session = open(&manager, &visitor).await;
            session.sign_in(&ada).expect("a sign-in");
            session.release().await.expect("a sign-in is stored");
            session.token().expect("a token")
        };
        let (late, new, ended, twice) =
            tokio::join!(late, sign_in(&manager, &ada), another.end_all(&ada), manager.end_all(&ada));
        ended.and(twice).expect("an end");
        assert!(!is_live(&manager, &before).await);
        another.end_all(&ada).await.expect("an end");
        for token in [&late, &new] {
            assert!(!is_live(&manager, token).await);
        }
    }
}

/// A change or a new id concurrent with "end all" leaves no session, whichever is faster.
pub async fn a_write_beside_end_all_leaves_nothing(context: Context) {
    let manager = context.manager();
    if !ends_all(&context) {
        return;
    }
    let another = context.manager_over(context.another().await);
    for round in 0..12 {
        let (ada, _) = somebody(&context);
        let token = sign_in(&manager, &ada).await;
        let session = open(&manager, &token).await;
        session.set("key", &round).expect("a set");
        match round % 3 {
            0 => session.regenerate().expect("a new id"),
            1 => session.elevate().expect("a proof"),
            _ => {}
        }
        let (released, ended) = tokio::join!(session.release(), another.end_all(&ada));
        ended.expect("an end");
        if let Err(error) = released {
            assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
        }
        let new = session.token().expect("a token");
        assert!(!is_live(&manager, &token).await && !is_live(&manager, &new).await, "{round}");
    }
}

/// A session ends with those of its current owner, not with those of a previous one.
pub async fn a_session_follows_its_owner(context: Context) {
    let manager = context.manager();
    if !ends_all(&context) {
        return;
    }
    let ((ada, _), (bob, _)) = (somebody(&context), somebody(&context));
    for owner in [Some(&bob), None] {
        let session = open(&manager, &sign_in(&manager, &ada).await).await;
        match owner {
            Some(bob) => session.sign_in(bob).expect("a sign-in"),
            None => session.set_owner(None).expect("no owner"),
        }
        session.release().await.expect("it is stored");
        let token = session.token().expect("a token");
        manager.end_all(&ada).await.expect("an end");
        assert!(is_live(&manager, &token).await);
        manager.end_all(&bob).await.expect("an end");
        assert_eq!(is_live(&manager, &token).await, owner.is_none());
    }
}
