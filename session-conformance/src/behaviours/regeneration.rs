//! A new id: the data stays, the old id is dead, and nothing is left behind.

use std::sync::Arc;

use session_core::transport::Connection;
use session_core::{ErrorKind, Manager};

use super::nothing::presenting;
use super::renaming::both;
use crate::layers::ByWrites;
use crate::{Context, begin, fails, number, open};

/// Managers over the engine's own rename and over the default one.
fn managers(context: &Context) -> [Manager; 2] {
    both(context).map(|provider| context.manager_over(provider))
}

async fn nothing_else_is_left(context: &Context, sessions: u64) {
    if context.counts_exactly() {
        assert_eq!(context.provider().count().await.expect("an answer"), Some(sessions));
    }
}

/// Sign-in: what was there is there, with the change that came with it.
pub async fn a_new_id_keeps_the_data_and_kills_the_old_id(context: Context) {
    for (number_of_sessions, manager) in managers(&context).into_iter().enumerate() {
        let old = begin(&manager, "cart", 3).await;
        let request = presenting(&manager, &old);
        let session = request.session().await.expect("the session");
        let (created, absolute) = (session.created(), session.absolute_deadline());
        session.set("user", &7).expect("a set");
        session.regenerate().expect("a new id");
        let reply = request.finish(Connection::default()).await.expect("a regeneration");
        let new = session.token().expect("a token");
        assert_ne!(new, old);
        assert_eq!(reply.headers.len(), 1, "one cookie, with the new id");
        assert!(reply.headers[0].1.contains(new.expose()));
        assert!(manager.load(&old).await.expect("a load").is_none());
        let session = open(&manager, &new).await;
        assert_eq!(session.get::<u64>("cart").expect("a number"), Some(3));
        assert_eq!(session.get::<u64>("user").expect("a number"), Some(7));
        assert_eq!(
            (session.created(), session.absolute_deadline()),
            (created, absolute),
            "it is the same session"
        );
        nothing_else_is_left(&context, number_of_sessions as u64 + 1).await;
    }
}

/// The manager's own way, for workers and tests.
pub async fn a_manager_regenerates_by_token(context: Context) {
    for manager in managers(&context) {
        let old = begin(&manager, "key", 3).await;
        let new = manager.regenerate(&old).await.expect("a regeneration").expect("the session is there");
        assert_eq!(number(&manager, &new, "key").await, Some(3));
        assert_eq!(number(&manager, &old, "key").await, None);
        assert!(manager.regenerate(&old).await.expect("no session").is_none());
    }
}

/// A request that still holds the old id stores nothing under it, and is told so.
pub async fn a_late_release_under_the_old_id_stores_nothing(context: Context) {
    for manager in managers(&context) {
        let old = begin(&manager, "key", 1).await;
        let (late, reading) = (open(&manager, &old).await, open(&manager, &old).await);
        let new = manager.regenerate(&old).await.expect("a regeneration").expect("the session is there");
        late.set("late", &1).expect("a set");
        fails(late.release().await, ErrorKind::Gone);
        reading.release().await.expect("a request that only read is unaffected");
        assert!(manager.load(&old).await.expect("a load").is_none());
        assert_eq!(open(&manager, &new).await.keys(), ["key"]);
    }
}

/// A write that another request committed meanwhile is not lost.
pub async fn a_write_that_came_first_moves_along(context: Context) {
    for manager in managers(&context) {
        let old = begin(&manager, "counter", 1).await;
        let moving = open(&manager, &old).await;
        for _ in 0..3 {
            let other = open(&manager, &old).await;
            other.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
            other.release().await.expect("a release");
        }
        moving.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        moving.regenerate().expect("a new id");
        moving.release().await.expect("a regeneration");
        let new = moving.token().expect("a token");
        assert_eq!(moving.get::<u64>("counter").expect("a number"), Some(5));
        assert_eq!(number(&manager, &new, "counter").await, Some(5));
        assert!(manager.load(&old).await.expect("a load").is_none());
        nothing_else_is_left(&context, 1).await;
        manager.destroy(&new).await.expect("a logout");
    }
}

/// A request that *comes* with an id that was replaced a moment ago, and writes, is refused: a session of its own would
/// take the place of the one that replaced it in the client's cookie. One that only reads is unaffected.
pub async fn a_late_request_with_the_old_id_does_not_overwrite_the_new_cookie(context: Context) {
    for (sessions, manager) in managers(&context).into_iter().enumerate() {
        let old = begin(&manager, "key", 1).await;
        let new = manager.regenerate(&old).await.expect("a regeneration").expect("the session is there");
        for work in 0..3 {
            let request = presenting(&manager, &old);
            let session = request.session().await.expect("nothing to use");
            assert!(session.is_empty(), "nothing is shown under the old id");
            match work {
                0 => {
                    let reply = request.finish(Connection::default()).await.expect("it only read");
                    assert!(reply.headers.is_empty() && !reply.sets_token);
                    continue;
                }
                1 => session.set("late", &1).expect("a set"),
                _ => {
                    session.sign_in("ada").expect("a sign-in");
                    session.set("user", &1).expect("a set");
                }
            }
            let error = request.finish(Connection::default()).await.expect_err("its change is not stored");
            assert_eq!((error.kind(), error.kind().http_status()), (ErrorKind::Gone, 409));
            let owed = request.owed(Connection::default()).expect("no cookie");
            assert!(owed.headers.is_empty());
        }
        assert_eq!(number(&manager, &new, "key").await, Some(1));
        nothing_else_is_left(&context, sessions as u64 + 1).await;
    }
}

/// A logout with an id that was just replaced, once or several times, ends the session.
pub async fn a_logout_follows_the_new_id(context: Context) {
    for manager in managers(&context) {
        for moves in 1..=4 {
            let first = begin(&manager, "key", 1).await;
            let late = open(&manager, &first).await;
            let mut last = first.clone();
            for _ in 0..moves {
                last =
                    manager.regenerate(&last).await.expect("a regeneration").expect("the session is there");
            }
            if moves % 2 == 0 {
                late.destroy().await.expect("a logout");
            } else {
                assert!(manager.destroy(&first).await.expect("a logout"), "there was a session to end");
            }
            assert!(manager.load(&last).await.expect("a load").is_none(), "after {moves} moves");
            nothing_else_is_left(&context, 0).await;
        }
    }
}

/// Two sign-ins at once, in two processes: one session, with the winner's id; the loser is told that its is gone.
pub async fn of_two_at_once_one_wins(context: Context) {
    let there = context.another().await;
    let others = [context.manager_over(there.clone()), context.manager_over(Arc::new(ByWrites(there)))];
    for (here, there) in managers(&context).into_iter().zip(others) {
        for _ in 0..6 {
            let old = begin(&here, "key", 1).await;
            let sessions = [open(&here, &old).await, open(&there, &old).await];
            for session in &sessions {
                session.regenerate().expect("a new id");
            }
            let releases =
                sessions.clone().map(|session| tokio::spawn(async move { session.release().await }));
            let mut won = Vec::new();
            for (session, release) in sessions.iter().zip(releases) {
                match release.await.expect("no panic") {
                    Ok(()) => won.push(session.token().expect("a token")),
                    lost => fails(lost, ErrorKind::Gone),
                }
            }
            assert_eq!(won.len(), 1);
            assert_eq!(number(&here, &won[0], "key").await, Some(1));
            assert!(here.load(&old).await.expect("a load").is_none());
            nothing_else_is_left(&context, 1).await;
            here.destroy(&won[0]).await.expect("a logout");
        }
    }
}

/// A sign-in and a logout at once: whichever comes first, the session is over, and nothing is left.
pub async fn beside_a_logout_nothing_is_left(context: Context) {
    let there = context.manager_over(context.another().await);
    for here in managers(&context) {
        for _ in 0..8 {
            let old = begin(&here, "key", 1).await;
            let (moving, leaving) = (open(&here, &old).await, open(&there, &old).await);
            moving.regenerate().expect("a new id");
            let release = tokio::spawn({
                let moving = moving.clone();
                async move { moving.release().await }
            });
            leaving.destroy().await.expect("a logout");
            let released = release.await.expect("no panic");
            if let Err(error) = &released {
                assert_eq!(error.kind(), ErrorKind::Gone);
            } else if let Some(new) = moving.token() {
                assert!(here.load(&new).await.expect("a load").is_none());
            }
            assert!(here.load(&old).await.expect("a load").is_none());
            nothing_else_is_left(&context, 0).await;
        }
    }
}

/// A regeneration after a logout is told that there is nothing to regenerate.
pub async fn after_a_logout_nothing_comes_back(context: Context) {
    for manager in managers(&context) {
        let token = begin(&manager, "key", 1).await;
        let late = open(&manager, &token).await;
        manager.destroy(&token).await.expect("a logout");
        late.regenerate().expect("a new id");
        fails(late.release().await, ErrorKind::Gone);
        nothing_else_is_left(&context, 0).await;
    }
}

/// There is no old id to kill: it is an ordinary create.
pub async fn of_a_new_session_is_a_create(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    session.set("key", &1).expect("a set");
    session.regenerate().expect("a new id");
    session.release().await.expect("a create");
    let token = session.token().expect("a token");
    assert_eq!(number(&manager, &token, "key").await, Some(1));
}
