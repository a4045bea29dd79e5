//! No lost update: what requests change at the same time is merged key by key.

use std::sync::Arc;

use session_core::record::Value;
use session_core::{ErrorKind, Manager, Store};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{Context, begin, fails, number, open};

/// Eight requests on each of two processes set a key each: all are kept.
pub async fn different_keys_are_all_kept(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = begin(&processes[0], "first", 1).await;
    let mut requests = JoinSet::new();
    for request in 0..16_u64 {
        let (manager, token) = (processes[usize::from(request % 2 == 0)].clone(), token.clone());
        requests.spawn(async move {
            let session = open(&manager, &token).await;
            session.set(format!("key{request}"), &request).expect("a set");
            session.release().await.expect("a release");
        });
    }
    requests.join_all().await;
    let session = open(&processes[0], &token).await;
    assert_eq!(session.keys().len(), 17);
    for request in 0..16_u64 {
        assert_eq!(session.get(format!("key{request}")).expect("a number"), Some(request));
    }
}

/// Five workers count to ten each, and the sum is fifty.
pub async fn five_workers_count_to_fifty(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = begin(&processes[0], "first", 1).await;
    let mut workers = JoinSet::new();
    for worker in 0..5 {
        let (manager, token) = (processes[worker % 2].clone(), token.clone());
        workers.spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..10 {
                seen.push(count(&manager, &token).await);
            }
            seen
        });
    }
    let mut seen: Vec<u64> = workers.join_all().await.into_iter().flatten().collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=50).collect::<Vec<_>>(), "each worker sees the value that it committed");
    assert_eq!(number(&processes[0], &token, "counter").await, Some(50));
}

async fn count(manager: &Manager, token: &session_core::id::Token) -> u64 {
    let session = open(manager, token).await;
    session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    session.release().await.expect("a release");
    session.get("counter").expect("a number").expect("the committed value")
}

/// The last one to be released wins, also when it sets, deletes or flushes what it has found that way already:
/// another request has committed something else meanwhile.
pub async fn the_last_to_be_released_wins(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    for way in 0..3 {
        let token = begin(&here, "key", 1).await;
        let (slow, quick) = (open(&here, &token).await, open(&there, &token).await);
        quick.set("key", &2).expect("a set");
        quick.set("other", &2).expect("a set");
        quick.release().await.expect("a release");
        let expected = match way {
            0 => {
                slow.set("key", &1).expect("a set");
                (Some(1), Some(2))
            }
            1 => {
                assert!(!slow.delete("other").expect("a delete"));
                (Some(2), None)
            }
            _ => {
                slow.set("key", &7).expect("a set");
                slow.flush().expect("a flush");
                slow.set("key", &1).expect("a set");
                (Some(1), None)
            }
        };
        slow.release().await.expect("a release");
        let stored = open(&there, &token).await;
        let values = ["key", "other"].map(|key| stored.get::<u64>(key).expect("a number"));
        assert_eq!((values[0], values[1]), expected, "way {way}");
    }
}

/// Forty requests that all loaded before the first of them stored.
pub async fn forty_overlapping_updates_count_forty(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = begin(&processes[0], "first", 1).await;
    let mut sessions = Vec::new();
    for request in 0..40 {
        let session = open(&processes[request % 2], &token).await;
        session.update("counter", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
        sessions.push(session);
    }
    let start = Arc::new(Barrier::new(sessions.len()));
    let mut requests = JoinSet::new();
    for session in sessions {
        let start = Arc::clone(&start);
        requests.spawn(async move {
            start.wait().await;
            session.release().await.expect("a release");
            session.get::<u64>("counter").expect("a number").expect("the committed value")
        });
    }
    let mut seen = requests.join_all().await;
    seen.sort_unstable();
    assert_eq!(seen, (1..=40).collect::<Vec<_>>());
    assert_eq!(number(&processes[0], &token, "counter").await, Some(40));
}

/// The last one that is released, and none of the other's keys is harmed.
pub async fn of_two_sets_of_one_key_the_last_wins(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 0).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    second.set("key", &2).expect("a set");
    first.set("key", &1).expect("a set");
    first.set("own", &1).expect("a set");
    second.release().await.expect("a release");
    first.release().await.expect("a release");
    assert_eq!(number(&manager, &token, "key").await, Some(1));
    assert_eq!(number(&manager, &token, "own").await, Some(1));
}

/// A delete removes its key only, and a flush what was there when it is stored.
pub async fn deletes_and_flushes_are_merged_too(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "a", 1).await;
    let (deleting, setting) = (open(&manager, &token).await, open(&manager, &token).await);
    deleting.delete("a").expect("a delete");
    setting.set("b", &2).expect("a set");
    setting.release().await.expect("a release");
    deleting.release().await.expect("a release");
    assert_eq!(open(&manager, &token).await.keys(), ["b"]);

    let (flushing, setting) = (open(&manager, &token).await, open(&manager, &token).await);
    flushing.flush().expect("a flush");
    flushing.set("after", &3).expect("a set");
    setting.set("c", &4).expect("a set");
    setting.release().await.expect("a release");
    flushing.release().await.expect("a release");
    assert_eq!(open(&manager, &token).await.keys(), ["after"]);
}

/// One-time values: the loser's release fails, and neither of its changes is stored.
pub async fn of_two_that_take_one_value_one_gets_it(context: Context) {
    let processes = [context.manager(), context.manager_over(context.another().await)];
    let token = begin(&processes[0], "ticket", 7).await;
    let mut sessions = Vec::new();
    for request in 0..8_u64 {
        let session = open(&processes[usize::from(request % 2 == 0)], &token).await;
        assert_eq!(session.take::<u64>("ticket").expect("a take"), Some(7));
        session.set(format!("taken by {request}"), &true).expect("a set");
        sessions.push(session);
    }
    let mut requests = JoinSet::new();
    for session in sessions {
        requests.spawn(async move {
            let released = session.release().await;
            if released.is_err() {
                fails(released, ErrorKind::Conflict);
                return 0;
            }
            1
        });
    }
    assert_eq!(requests.join_all().await.into_iter().sum::<u64>(), 1);
    assert_eq!(open(&processes[0], &token).await.keys().len(), 1, "only the winner's key");
}

/// The values of the store, also those that others committed, and no further changes.
pub async fn after_the_release_the_handle_shows_what_was_committed(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "a", 1).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    first.set("b", &2).expect("a set");
    first.release().await.expect("a release");
    second.update("a", |old: Option<u64>| old.unwrap_or(0) + 1).expect("an update");
    second.release().await.expect("a release");
    assert_eq!(second.keys(), ["a", "b"]);
    assert_eq!(second.get::<u64>("a").expect("a number"), Some(2));
    fails(second.set("late", &1), ErrorKind::Released);
    fails(second.update("late", |_: Option<u64>| 1), ErrorKind::Released);
    fails(second.take::<u64>("a"), ErrorKind::Released);
    fails(second.delete("a"), ErrorKind::Released);
    fails(second.flush(), ErrorKind::Released);
    fails(second.regenerate(), ErrorKind::Released);
    second.release().await.expect("releasing again does nothing");
    assert_eq!(number(&manager, &token, "late").await, None);
}

/// Code that does not know the types of the values works on the same session.
pub async fn the_untyped_store_is_the_same_session(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    let store: &dyn Store = &session;
    store.set("key", Value::encode(&7_u64).expect("a number")).expect("a set");
    store.set("gone", Value::encode("text").expect("text")).expect("a set");
    store.delete("gone").expect("a delete");
    assert!(store.id().is_none());
    store.release_if_present().await.expect("nothing to do");
    let session = manager.create();
    let store: &dyn Store = &session;
    store.set("key", Value::encode(&7_u64).expect("a number")).expect("a set");
    store.release().await.expect("a create");
    let token = store.id().expect("a token");
    assert_eq!(number(&manager, &token, "key").await, Some(7));
    assert_eq!(store.get("key").map(|value| value.decode::<u64>().expect("a number")), Some(7));

    let session = open(&manager, &token).await;
    let store: &dyn Store = &session;
    store.flush().expect("a flush");
    manager.destroy(&token).await.expect("a logout");
    fails(store.release_if_present().await, ErrorKind::Gone);
    assert!(manager.load(&token).await.expect("a load").is_none(), "neither release resurrects");
}
