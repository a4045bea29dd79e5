//! No unnecessary stores, cookies or calls.

use std::time::Duration;

use session_core::adapter::RequestSession;
use session_core::id::Token;
use session_core::transport::{Connection, Incoming};

use crate::layers::{Method, Spy};
use crate::{Context, LONG, begin, cookie, number, open};

/// A visitor's session that is only read: no call, no record, no cookie.
pub async fn a_session_that_was_never_written_to_is_not_stored(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let request = manager.request(Incoming::default());
    let session = request.session().await.expect("a new session");
    assert!(session.is_empty() && session.is_new());
    assert_eq!(session.get::<u64>("key").expect("no value"), None);
    let reply = request.finish(Connection::default()).await.expect("nothing to do");
    assert!(reply.headers.is_empty() && reply.loaded && !reply.sets_token, "{reply:?}");
    assert!(session.token().is_none());
    assert_eq!(spy.methods(), []);
}

/// A request that does not use its session does no I/O, even if it has a cookie.
pub async fn an_untouched_request_makes_no_call(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let request = presenting(&manager, &token);
    let reply = request.finish(Connection::default()).await.expect("nothing to do");
    assert!(reply.headers.is_empty() && !reply.loaded, "{reply:?}");
    assert_eq!(spy.methods(), []);
}

/// Only read, set to the same value, or written and deleted again: no write. Changes that restore
/// the loaded state cost a second read, to detect writes of others.
pub async fn an_unchanged_session_is_not_rewritten(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let session = open(&manager, &token).await;
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), [Method::Read], "read only");

    let alone = context.capabilities().client_side;
    let asked = if alone { &[Method::Read][..] } else { &[Method::Read, Method::Read] };
    let session = open(&manager, &token).await;
    session.set("key", &1).expect("a set");
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), asked, "set to what it was");

    let session = open(&manager, &token).await;
    session.set("other", &1).expect("a set");
    session.delete("other").expect("a delete");
    session.delete("never there").expect("a delete");
    session.release().await.expect("a release");
    assert_eq!(spy.methods(), asked, "written and deleted again");
}

/// A new session that is empty again at its release is not stored.
pub async fn a_new_session_that_is_empty_again_is_not_stored(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let session = context.manager_over(provider).create();
    session.set("key", &1).expect("a set");
    session.delete("key").expect("a delete");
    session.release().await.expect("a release");
    assert!(session.token().is_none());
    assert_eq!(spy.methods(), []);
}

/// `release_if_present` updates and never creates.
pub async fn a_release_if_present_creates_nothing(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let manager = context.manager_over(provider);
    let session = manager.create();
    session.set("key", &1).expect("a set");
    session.release_if_present().await.expect("nothing to do");
    assert!(session.token().is_none());
    assert_eq!(spy.methods(), []);

    let token = begin(&manager, "key", 1).await;
    let session = open(&manager, &token).await;
    session.set("key", &2).expect("a set");
    session.release_if_present().await.expect("an update");
    let token = session.token().expect("it is stored");
    assert_eq!(number(&manager, &token, "key").await, Some(2));
}

/// A stale cookie is not removed: a late response must not overwrite the cookie of a login.
pub async fn a_stale_cookie_is_left_alone(context: Context) {
    let manager = context.manager();
    let stale = begin(&manager, "key", 1).await;
    let gone = open(&manager, &stale).await;
    gone.destroy().await.expect("a destroy");
    let request = presenting(&manager, &stale);
    if context.capabilities().client_side {
        // A client-side record cannot be revoked; an invalid one serves as the stale one here.
        let nonsense = Token::new("nonsense").expect("a token");
        let request = presenting(&manager, &nonsense);
        assert!(request.session().await.expect("a new session").is_empty());
        let reply = request.finish(Connection::default()).await.expect("nothing to do");
        assert!(reply.headers.is_empty(), "{reply:?}");
        return;
    }
    assert!(request.session().await.expect("a new session").is_empty());
    let reply = request.finish(Connection::default()).await.expect("nothing to do");
    assert!(reply.headers.is_empty() && !reply.sets_token, "{reply:?}");
    assert!(!manager.destroy(&stale).await.expect("a logout"), "there was nothing to end");
    let logout = presenting(&manager, &stale);
    logout.destroy().await.expect("a logout");
    assert!(logout.finish(Connection::default()).await.expect("nothing to do").headers.is_empty());
}

pub(super) fn presenting(manager: &session_core::Manager, token: &Token) -> RequestSession {
    presenting_all(manager, &[token])
}

/// A request of a browser that has several cookies of the name.
pub(super) fn presenting_all(manager: &session_core::Manager, tokens: &[&Token]) -> RequestSession {
    let cookies: Vec<_> = tokens.iter().map(|token| cookie(manager, token)).collect();
    manager.request(Incoming { cookies: &[cookies.join("; ").as_bytes()], ..Incoming::default() })
}

/// The cookie is set when a session begins or gets a new id, removed when it ends, and not sent
/// otherwise.
pub async fn a_cookie_is_sent_only_when_it_changes(context: Context) {
    let manager = context.manager();
    let request = manager.request(Incoming::default());
    request.session().await.expect("a new session").set("key", &1).expect("a set");
    let begun = request.finish(Connection::default()).await.expect("a create");
    assert_eq!(begun.headers.len(), 1);
    let first = request.session().await.expect("the session").token().expect("a token");

    let request = presenting(&manager, &first);
    request.session().await.expect("the session").set("key", &2).expect("a set");
    let changed = request.finish(Connection::default()).await.expect("an update");
    let rewritten = usize::from(context.capabilities().client_side);
    assert_eq!(
        changed.headers.len(),
        rewritten,
        "a change sets no cookie, unless the client holds the record"
    );

    let request = presenting(&manager, &first);
    request.session().await.expect("the session").regenerate().expect("a new id");
    let renewed = request.finish(Connection::default()).await.expect("a regeneration");
    assert_eq!(renewed.headers.len(), 1, "one cookie for the session");
    let second = request.session().await.expect("the session").token().expect("a token");

    let request = presenting(&manager, &second);
    request.destroy().await.expect("a logout");
    let ended = request.finish(Connection::default()).await.expect("a logout");
    assert_eq!(ended.headers.len(), 1);
    assert!(ended.headers[0].1.contains("Max-Age=0"), "the cookie is removed");
    for reply in [begun, renewed, ended] {
        assert_eq!(reply.headers[0].0, "set-cookie");
        assert!(reply.sets_token);
    }
}

/// Engines that need a write to extend the idle deadline get at most one per `touch_after`.
pub async fn writes_that_extend_the_deadline_are_throttled(context: Context) {
    let (provider, spy) = Spy::on(context.provider());
    let after = context.short();
    let manager = context.builder_over(provider).idle_timeout(LONG).touch_after(after);
    let manager = manager.build().expect("a valid configuration");
    let token = begin(&manager, "key", 1).await;
    spy.take();
    let read = async || {
        let session = open(&manager, &token).await;
        session.release().await.expect("a release");
        spy.methods()
    };
    assert_eq!(read().await, [Method::Read], "the deadline is fresh");
    context.outlive(after + Duration::from_millis(100)).await;
    let moved = read().await;
    if context.capabilities().slides_on_read {
        assert_eq!(moved, [Method::Read], "the read has extended it");
    } else {
        assert_eq!(moved, [Method::Read, Method::Touch]);
    }
    assert_eq!(read().await, [Method::Read], "it is fresh again");
}
