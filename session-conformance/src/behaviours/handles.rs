//! Handles that save during a request, and handles that outlive their request.

use std::sync::{Arc, Mutex};
use std::task::{self, Waker};

use session_core::ErrorKind;
use session_core::transport::{Connection, Incoming};

use super::nothing::presenting;
use crate::{Context, begin, fails, number, open};

/// A save stores the changes, and the handle remains usable.
pub async fn a_save_stores_and_the_handle_remains_usable(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    session.save().await.expect("nothing to store");
    assert!(session.is_new());
    for round in 1..=3 {
        session.set("key", &round).expect("a set");
        assert!(session.is_modified());
        session.save().await.expect("a save");
        assert!(!session.is_modified());
        let token = session.token().expect("a token");
        assert_eq!(number(&manager, &token, "key").await, Some(round));
    }
    session.set("key", &9).expect("a set");
    session.release().await.expect("a release");
    fails(session.save().await, ErrorKind::Released);
    assert_eq!(number(&manager, &session.token().expect("a token"), "key").await, Some(9));
}

/// A save merges with other requests' changes, like a release.
pub async fn a_save_merges(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let token = begin(&here, "counter", 0).await;
    let sessions = [open(&here, &token).await, open(&there, &token).await];
    for _ in 0..3 {
        for session in &sessions {
            session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            session.save().await.expect("a save");
        }
    }
    assert_eq!(number(&here, &token, "counter").await, Some(6));
}

/// The client gets a new id that was saved during the request, even if the end of the request
/// fails.
pub async fn a_new_id_that_was_saved_reaches_the_client(context: Context) {
    let manager = context.manager();
    for fails in [false, true] {
        let old = begin(&manager, "key", 1).await;
        let request = presenting(&manager, &old);
        let session = request.session().await.expect("the session");
        session.regenerate().expect("a new id");
        session.save().await.expect("a save");
        let new = session.token().expect("a token");
        assert_eq!(session.take::<u64>("key").expect("a take"), Some(1));
        if fails {
            let other = open(&manager, &new).await;
            assert_eq!(other.take::<u64>("key").expect("a take"), Some(1));
            other.release().await.expect("it came first");
        }
        let finished = request.finish(Connection::default()).await;
        assert_eq!(finished.is_err(), fails, "of two that take one value, one gets it");
        let reply = request.owed(Connection::default()).expect("a reply");
        assert_eq!(reply.headers.len(), 1);
        assert!(reply.headers[0].1.contains(new.expose()));
    }
}

/// After its request a handle accepts no change until it is reloaded; then it stores with a save.
pub async fn a_handle_that_outlives_its_request_reloads_and_saves(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let request = presenting(&manager, &token);
    let session = request.session().await.expect("the session");
    request.finish(Connection::default()).await.expect("nothing to do");
    fails(session.set("late", &1), ErrorKind::Released);
    fails(session.delete("key"), ErrorKind::Released);
    fails(session.take::<u64>("key"), ErrorKind::Released);
    fails(session.regenerate(), ErrorKind::Released);
    fails(session.save().await, ErrorKind::Released);

    let other = open(&manager, &token).await;
    other.set("key", &5).expect("a set");
    other.release().await.expect("a release");
    session.reload().await.expect("a reload");
    assert_eq!(session.get::<u64>("key").expect("a number"), Some(5), "as it is now");
    session.set("from the socket", &6).expect("a set");
    session.save().await.expect("a save");
    assert_eq!(number(&manager, &token, "from the socket").await, Some(6));

    assert!(manager.destroy(&token).await.expect("a logout"));
    session.set("late", &7).expect("a set");
    fails(session.save().await, ErrorKind::Gone);
    fails(session.reload().await, ErrorKind::Gone);
    assert!(manager.load(&token).await.expect("a load").is_none());
}

/// After its request nobody tells the client of a new id. Its old id keeps working, and no session
/// begins under an id that nobody knows.
pub async fn a_handle_that_outlives_its_request_gets_no_new_id(context: Context) {
    let manager = context.manager();
    for way in 0..3 {
        let token = begin(&manager, "key", 1).await;
        let request = presenting(&manager, &token);
        let session = request.session().await.expect("the session");
        request.finish(Connection::default()).await.expect("nothing to do");
        session.reload().await.expect("a reload");
        match way {
            0 => session.regenerate().expect("refused by the save"),
            1 => session.sign_in("ada").expect("refused by the save"),
            _ => session.elevate().expect("refused by the save"),
        }
        session.set("key", &2).expect("a set");
        fails(session.save().await, ErrorKind::Released);
        assert_eq!(number(&manager, &token, "key").await, Some(1), "way {way}");
        session.reload().await.expect("a reload");
        session.set("key", &3).expect("a set");
        session.save().await.expect("a save under the same id");
        assert_eq!(number(&manager, &token, "key").await, Some(3));
        session.destroy().await.expect("a logout");
        fails(session.set("key", &4), ErrorKind::Released);
        assert!(manager.load(&token).await.expect("a load").is_none());
    }
    let request = manager.request(Incoming::default());
    let visitor = request.session().await.expect("a new session");
    request.finish(Connection::default()).await.expect("nothing to do");
    visitor.reload().await.expect("nothing to read");
    fails(visitor.set("key", &1), ErrorKind::Released);
    visitor.save().await.expect_err("it was not reloaded to store");
    assert!(visitor.token().is_none());
}

/// A handle that is made fresh shows what others have stored, with its own changes on top, and
/// hears of a logout.
pub async fn fresh_shows_what_is_stored_and_keeps_changes(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "n", 1).await;
    let session = open(&manager, &token).await;
    session.set("mine", &2).expect("a set");
    let sum = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 10).expect("an update");
    assert_eq!(sum, 11);
    let other = open(&manager, &token).await;
    other.set("theirs", &3).expect("a set");
    other.update("n", |n: Option<u64>| n.unwrap_or(0) + 100).expect("an update");
    other.release().await.expect("a release");

    session.fresh().await.expect("a fresh session");
    let value = |key: &str| session.get::<u64>(key).expect("a number");
    assert_eq!((value("n"), value("mine"), value("theirs")), (Some(111), Some(2), Some(3)));
    session.release().await.expect("a release");
    assert_eq!(number(&manager, &token, "n").await, Some(111), "each update was applied once");
    assert_eq!(number(&manager, &token, "theirs").await, Some(3));
    fails(session.fresh().await, ErrorKind::Released);

    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    assert_eq!(first.take::<u64>("mine").expect("a take"), Some(2));
    assert_eq!(second.take::<u64>("mine").expect("a take"), Some(2));
    second.release().await.expect("a release");
    fails(first.fresh().await, ErrorKind::Conflict);
    fails(first.release().await, ErrorKind::Conflict);

    let session = open(&manager, &token).await;
    assert!(manager.destroy(&token).await.expect("a logout"));
    fails(session.fresh().await, ErrorKind::Gone);
    manager.create().fresh().await.expect("nothing is stored, so nothing is read");
}

/// A release that begins while changes are reapplied waits for them, and stores them.
pub async fn a_release_beside_fresh_stores_everything(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "n", 1).await;
    let session = open(&manager, &token).await;
    let (other, mut runs, releases) = (session.clone(), 0, Arc::new(Mutex::default()));
    let noted = Arc::clone(&releases);
    let add = move |n: Option<u64>| {
        runs += 1;
        if runs == 2 {
            let other = other.clone();
            let mut release = Box::pin(async move { other.release().await });
            let polled = release.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "the changes are not stored yet");
            *noted.lock().expect("a lock") = Some(release);
        }
        n.unwrap_or(0) + 1
    };
    session.update("n", add).expect("an update");
    session.set("mine", &2).expect("a set");
    session.fresh().await.expect("a fresh session");
    let release = releases.lock().expect("a lock").take().expect("the function ran again");
    release.await.expect("a release");
    assert_eq!(number(&manager, &token, "n").await, Some(2));
    assert_eq!(number(&manager, &token, "mine").await, Some(2));
}

/// A finished request loads nothing.
pub async fn after_its_end_a_request_loads_nothing(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    for abandon in [false, true] {
        let request = presenting(&manager, &token);
        if abandon {
            request.abandon(Connection::default()).expect("nothing to do");
        } else {
            request.finish(Connection::default()).await.expect("nothing to do");
        }
        fails(request.session().await, ErrorKind::Released);
        fails(request.destroy().await, ErrorKind::Released);
    }
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}

/// A request whose handler did not finish stores none of its changes; explicit saves are kept.
pub async fn an_abandoned_request_stores_nothing(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 1).await;
    let request = presenting(&manager, &token);
    let session = request.session().await.expect("the session");
    session.sign_in("ada").expect("a sign-in");
    session.set("user", &1).expect("a set");
    let reply = request.abandon(Connection::default()).expect("a reply");
    assert!(reply.headers.is_empty() && !reply.sets_token);
    fails(session.set("late", &1), ErrorKind::Released);
    assert_eq!(open(&manager, &token).await.keys(), ["key"]);

    let request = manager.request(Incoming::default());
    let session = request.session().await.expect("a new session");
    session.set("user", &1).expect("a set");
    let reply = request.abandon(Connection::default()).expect("a reply");
    assert!(reply.headers.is_empty());
    assert!(session.token().is_none());
}
