//! A logout is final, whatever is in flight.

use session_core::transport::{Connection, Incoming};
use session_core::{ErrorKind, LoadState};

use super::nothing::presenting;
use crate::{Context, begin, fails, number, open};

/// The old token finds nothing, here and in every other process.
pub async fn a_destroyed_session_cannot_be_replayed(context: Context) {
    let (manager, other) = (context.manager(), context.manager_over(context.another().await));
    let token = begin(&manager, "user", 1).await;
    open(&manager, &token).await.destroy().await.expect("a logout");
    for manager in [&manager, &other] {
        assert!(manager.load(&token).await.expect("a load").is_none());
        assert!(!manager.destroy(&token).await.expect("a second logout"));
    }
}

/// A request that loaded before the logout and changes the session stores nothing and gets an
/// error.
pub async fn logout_is_not_undone_by_a_request_in_flight(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    for late_work in 0..4 {
        let token = begin(&here, "user", 1).await;
        let late = open(&there, &token).await;
        assert!(here.destroy(&token).await.expect("a logout"));
        match late_work {
            0 => late.set("late", &1).expect("a set"),
            1 => drop(late.update("user", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update")),
            2 => late.regenerate().expect("a new id"),
            _ => late.flush().expect("a flush"),
        }
        fails(late.release().await, ErrorKind::Gone);
        fails(late.release().await, ErrorKind::Gone);
        assert!(here.load(&token).await.expect("a load").is_none());
        if context.counts_exactly() {
            assert_eq!(here.active().await.expect("an answer"), Some(0), "nothing is left");
        }
    }
}

/// A late request neither sets nor removes the cookie, and does not report success if it had
/// changes.
pub async fn a_late_release_touches_no_cookie(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "user", 1).await;
    let (reading, writing) = (presenting(&manager, &token), presenting(&manager, &token));
    reading.session().await.expect("the session");
    writing.session().await.expect("the session").set("late", &1).expect("a set");
    assert!(manager.destroy(&token).await.expect("a logout"));
    let reply = reading.finish(Connection::default()).await.expect("a request that only read is unaffected");
    assert!(reply.headers.is_empty() && !reply.sets_token, "{reply:?}");
    let error = writing.finish(Connection::default()).await.expect_err("its change is not stored");
    assert_eq!((error.kind(), error.kind().http_status()), (ErrorKind::Gone, 409));
}

/// A logout ends the session even if another request has changed it since it was loaded.
pub async fn a_logout_ends_what_others_changed_meanwhile(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "user", 1).await;
    let leaving = open(&manager, &token).await;
    let other = open(&manager, &token).await;
    other.set("other", &1).expect("a set");
    other.release().await.expect("a release");
    leaving.set("never stored", &1).expect("a set");
    leaving.destroy().await.expect("a logout");
    assert!(manager.load(&token).await.expect("a load").is_none());
}

/// Values set after a logout in the same request start a new session, without any data of the old
/// one.
pub async fn after_a_logout_a_new_session_may_begin(context: Context) {
    let manager = context.manager();
    for (message, unloaded) in [(false, false), (true, false), (false, true), (true, true)] {
        let token = begin(&manager, "user", 1).await;
        let request = presenting(&manager, &token);
        if unloaded {
            request.destroy().await.expect("a logout");
        } else {
            let session = request.session().await.expect("the session");
            session.set("never stored", &1).expect("a set");
            session.destroy().await.expect("a logout");
            session.destroy().await.expect("a second logout");
        }
        let session = request.session().await.expect("the handle");
        assert!(session.is_empty() && session.token().is_none() && session.owner().is_none());
        if message {
            session.set("flash", &2).expect("a new session");
        }
        let reply = request.finish(Connection::default()).await.expect("a logout");
        assert_eq!(reply.headers.len(), 1, "one cookie: removed, or of the new session");
        assert!(manager.load(&token).await.expect("a load").is_none());
        match (message, session.token()) {
            (true, Some(new)) => {
                assert!(reply.headers[0].1.contains(new.expose()));
                assert_eq!(open(&manager, &new).await.keys(), ["flash"]);
            }
            (false, None) => assert!(reply.headers[0].1.contains("Max-Age=0")),
            (_, token) => panic!("a message: {message}, a token: {}", token.is_some()),
        }
    }
}

/// A logout after a release or a new id in the same request ends the session and removes the
/// cookie.
pub async fn a_logout_after_a_release_removes_the_cookie(context: Context) {
    let manager = context.manager();
    for renew in [false, true] {
        let token = begin(&manager, "user", 1).await;
        let request = presenting(&manager, &token);
        let session = request.session().await.expect("the session");
        session.set("seen", &1).expect("a set");
        if renew {
            session.regenerate().expect("a new id");
        }
        session.release().await.expect("a release");
        let stored = session.token().expect("a token");
        session.destroy().await.expect("a logout");
        let reply = request.finish(Connection::default()).await.expect("a logout");
        assert_eq!(reply.headers.len(), 1);
        assert!(reply.headers[0].1.contains("Max-Age=0"), "the cookie is removed");
        for token in [&token, &stored] {
            assert!(manager.load(token).await.expect("a load").is_none());
        }
    }
}

/// A session that is created and destroyed in one request leaves neither record nor cookie.
pub async fn a_session_of_one_request_leaves_nothing(context: Context) {
    let manager = context.manager();
    let request = manager.request(Incoming::default());
    let session = request.session().await.expect("a new session");
    session.set("key", &1).expect("a set");
    session.release().await.expect("a create");
    let token = session.token().expect("a token");
    session.destroy().await.expect("a logout");
    let reply = request.finish(Connection::default()).await.expect("a logout");
    assert!(reply.headers.is_empty(), "the client never got it");
    assert!(manager.load(&token).await.expect("a load").is_none());
}

/// A logout with a recently replaced id ends the session under its new id.
pub async fn a_logout_with_a_replaced_id_ends_the_session(context: Context) {
    let manager = context.manager();
    let old = begin(&manager, "user", 1).await;
    let new = manager.regenerate(&old).await.expect("a regeneration").expect("the session is there");
    let request = presenting(&manager, &old);
    let session = request.session().await.expect("nothing to use");
    assert_eq!(session.load_state(), LoadState::Moved);
    assert!(session.is_empty());
    session.destroy().await.expect("a logout");
    request.finish(Connection::default()).await.expect("a logout");
    assert!(manager.load(&new).await.expect("a load").is_none());
}

/// A user who logs out and in again in two concurrent requests keeps only the new session.
pub async fn a_login_beside_a_logout_is_untouched(context: Context) {
    let manager = context.manager();
    let old = begin(&manager, "user", 1).await;
    let late = open(&manager, &old).await;
    manager.destroy(&old).await.expect("a logout");
    let new = begin(&manager, "user", 2).await;
    late.set("user", &3).expect("a set");
    fails(late.release().await, ErrorKind::Gone);
    assert_eq!(number(&manager, &new, "user").await, Some(2));
    assert_eq!(number(&manager, &old, "user").await, None);
}
