//! Absolute timeouts that restart at a sign-in, and ids that are renewed automatically.

use std::time::Duration;

use session_core::transport::Connection;
use session_core::{LoadState, Manager, ManagerBuilder};

use super::nothing::presenting;
use crate::{Context, LONG, begin, number, open};

/// The time spent as a visitor does not count for a user who signs in.
pub async fn a_sign_in_begins_a_new_absolute_time(context: Context) {
    let manager = context.manager();
    for way in 0..4 {
        let token = begin(&manager, "cart", 1).await;
        let before = open(&manager, &token).await.absolute_deadline().expect("a deadline");
        context.pass(Duration::from_millis(20)).await;
        let session = open(&manager, &token).await;
        match way {
            0 => session.sign_in("ada").expect("a sign-in"),
            1 => {
                session.regenerate().expect("a new id");
                session.set_owner(Some("ada")).expect("an owner");
            }
            2 => session.renew_lifetime().expect("a new lifetime"),
            _ => session.regenerate().expect("a new id"),
        }
        session.release().await.expect("a release");
        let after = session.absolute_deadline().expect("a deadline");
        assert_eq!(after > before, way < 3, "way {way}: a plain new id keeps the time");
        let stored = session.token().expect("a token");
        assert_eq!(stored == token, way == 2, "way {way}");
        assert_eq!(number(&manager, &stored, "cart").await, Some(1));
    }
}

fn renewing(context: &Context, every: Duration) -> ManagerBuilder {
    context.builder().renew_id_every(every).renewal_grace(Duration::from_secs(30))
}

/// If the id is due, the client gets a new one, whether the request wrote or only read.
async fn renew(context: &Context, manager: &Manager, every: Duration) -> [session_core::id::Token; 2] {
    let old = begin(manager, "counter", 0).await;
    context.outlive(every).await;
    let request = presenting(manager, &old);
    let session = request.session().await.expect("the session");
    let reply = request.finish(Connection::default()).await.expect("it only read");
    let new = session.token().expect("a token");
    assert_ne!(new, old, "the id is renewed");
    assert_eq!(reply.headers.len(), 1, "the client is told");
    [old, new]
}

/// Requests with the old id, a moment later, can read and write the session, and no cookie is sent
/// for them.
pub async fn a_renewed_id_still_works_for_a_while(context: Context) {
    let every = context.short();
    let manager = renewing(&context, every).build().expect("a valid configuration");
    let [old, new] = renew(&context, &manager, every).await;
    for count in 1..=3 {
        let request = presenting(&manager, &old);
        let session = request.session().await.expect("the session");
        assert_eq!(session.load_state(), LoadState::Live);
        session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        let reply = request.finish(Connection::default()).await.expect("a release");
        assert!(reply.headers.is_empty(), "the newer cookie stays");
        assert_eq!(number(&manager, &new, "counter").await, Some(count));
    }
}

/// Only a request renews an id, since its response tells the client: neither a worker that loads
/// the session, nor a handle that outlives its request.
pub async fn an_id_is_not_renewed_where_nobody_tells_the_client(context: Context) {
    let every = context.short();
    let manager = renewing(&context, every).build().expect("a valid configuration");
    for writes in [false, true] {
        let token = begin(&manager, "counter", 0).await;
        let request = presenting(&manager, &token);
        let socket = request.session().await.expect("the session");
        request.finish(Connection::default()).await.expect("it only read");
        context.outlive(every).await;
        let worker = open(&manager, &token).await;
        socket.reload().await.expect("a reload");
        for session in [&worker, &socket] {
            if writes {
                session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            }
            session.save().await.expect("a save");
            assert_eq!(session.token().as_ref(), Some(&token), "nobody would tell the client");
        }
        assert_eq!(number(&manager, &token, "counter").await, Some(if writes { 2 } else { 0 }));
    }
}

/// Requests in flight during a renewal all store their changes.
pub async fn requests_beside_a_renewal_lose_nothing(context: Context) {
    let every = context.short();
    let there = context.another().await;
    let build = |builder: ManagerBuilder| builder.build().expect("a valid configuration");
    let here = build(renewing(&context, every));
    let there =
        build(context.builder_over(there).renew_id_every(every).renewal_grace(Duration::from_secs(30)));
    let old = begin(&here, "counter", 0).await;
    context.outlive(every).await;
    let requests = [&here, &there, &here, &there].map(|manager| presenting(manager, &old));
    let mut sessions = Vec::new();
    for request in &requests {
        sessions.push(request.session().await.expect("the session"));
    }
    let mut tokens = Vec::new();
    for session in &sessions {
        session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        session.release().await.expect("nobody is logged out by a renewal");
        tokens.push(session.token().expect("a token"));
    }
    let new = tokens.iter().find(|token| **token != old).expect("one of them renewed the id");
    assert_eq!(number(&here, new, "counter").await, Some(4));
}

/// A logout during the grace period, with either id, ends the session under both.
pub async fn a_logout_within_the_grace_ends_all(context: Context) {
    let every = context.short();
    let manager = renewing(&context, every).build().expect("a valid configuration");
    for with_old in [false, true] {
        let [old, new] = renew(&context, &manager, every).await;
        let late = open(&manager, &old).await;
        late.set("late", &1).expect("a set");
        assert!(manager.destroy(if with_old { &old } else { &new }).await.expect("a logout"));
        assert!(late.release().await.is_err(), "nothing comes back");
        for token in [&old, &new] {
            assert!(manager.load(token).await.expect("a load").is_none());
        }
    }
}

/// After the grace period the old id no longer works; if configured, its use ends the session.
pub async fn an_id_that_is_used_after_its_grace_is_dead(context: Context) {
    let every = context.short();
    for ends in [false, true] {
        let builder = context.builder().renew_id_every(every).renewal_grace(every / 2).end_on_reuse(ends);
        let manager = builder.build().expect("a valid configuration");
        let [old, new] = renew(&context, &manager, every).await;
        context.outlive(every / 2).await;
        let session = presenting(&manager, &old).session().await.expect("nothing to use");
        assert_eq!(session.load_state(), LoadState::Moved);
        assert_eq!(manager.exists(&new).await.expect("an answer"), !ends);
    }
}

/// A sign-in or a new id that was requested has no grace period, even while a renewal is due: the
/// previous id stops working at once.
pub async fn a_sign_in_has_no_grace(context: Context) {
    for (every, signs_in) in [(LONG, true), (context.short(), true), (context.short(), false)] {
        let manager = renewing(&context, every).build().expect("a valid configuration");
        let old = begin(&manager, "cart", 1).await;
        if every != LONG {
            context.outlive(every).await;
        }
        let request = presenting(&manager, &old);
        let session = request.session().await.expect("the session");
        if signs_in { session.sign_in("ada") } else { session.regenerate() }.expect("a new id");
        request.finish(Connection::default()).await.expect("a release");
        assert!(manager.load(&old).await.expect("a load").is_none(), "signs in: {signs_in}");
        assert_eq!(number(&manager, &session.token().expect("a token"), "cart").await, Some(1));
    }
}
