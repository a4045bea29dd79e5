//! Counting and collecting: only what has expired goes, in bounded batches, and only when it is asked for.

use std::time::Duration;

use session_core::engine::Rename;

use super::renaming::{both, tombstone};
use crate::{Context, LONG, begin, eventually, is_stored};

/// Sessions and nothing else: no tombstones, nothing that was destroyed.
pub async fn the_count_is_of_sessions(context: Context) {
    let provider = context.provider();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(context.stored("value", LONG).await);
    }
    let count = provider.count().await.expect("an answer");
    if !context.capabilities().enumerable {
        assert_eq!(count, None);
        return;
    }
    assert!(count.is_some_and(|count| count >= 5), "{count:?}");
    if !context.counts_exactly() {
        return;
    }
    assert_eq!(count, Some(5));
    provider.destroy(&ids[0].0, None).await.expect("a destroy");
    assert_eq!(provider.count().await.expect("an answer"), Some(4));
    for (provider, (old, read)) in both(&context).into_iter().zip(&ids[1..]) {
        let new = context.id();
        let (record, tombstone) = (context.next(read, "moved", LONG), tombstone(&context, read, &new));
        let rename = Rename::new((old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        assert_eq!(provider.count().await.expect("an answer"), Some(4), "a tombstone is no session");
    }
}

/// In batches of about the size that was asked for, until there is nothing more; what lives is left alone.
pub async fn only_what_has_expired_is_collected(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let mut living = Vec::new();
    for _ in 0..4 {
        living.push(context.stored("lives", LONG).await.0);
    }
    let (old, read) = context.stored("before", LONG).await;
    let new = context.id();
    let (record, tombstone) = (context.next(&read, "moved", LONG), tombstone(&context, &read, &new));
    assert!(is_stored(
        &provider.rename(&Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone)).await
    ));
    living.push(new.clone());
    for _ in 0..12 {
        context.stored("expires", short).await;
    }
    context.outlive(short).await;

    let mut batches = Vec::new();
    loop {
        let removed = provider.gc(5).await.expect("a collection");
        batches.push(removed);
        if removed < 5 {
            break;
        }
        assert!(batches.len() < 1_000, "a collection comes to its end");
    }
    for id in &living {
        assert!(provider.exists(id).await.expect("an answer"), "a live session is not collected");
    }
    let outcome = provider.destroy(&old, None).await.expect("a destroy");
    assert!(matches!(&outcome, session_core::engine::DestroyOutcome::Moved(to) if *to == new), "{outcome:?}");
    if context.counts_exactly() {
        if !context.capabilities().native_expiry {
            assert_eq!(batches.iter().sum::<usize>(), 12, "{batches:?}");
            assert!(batches.iter().all(|batch| *batch <= 10), "about five at a time: {batches:?}");
        }
        assert_eq!(provider.count().await.expect("an answer"), Some(5));
    }
}

/// The manager's own collection says how many it removed.
pub async fn a_manager_collects_what_has_expired(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).build().expect("a sound configuration");
    for value in 0..3 {
        begin(&manager, "key", value).await;
    }
    context.outlive(short).await;
    let removed = manager.collect().await.expect("a collection");
    if context.counts_exactly() {
        let native = context.capabilities().native_expiry;
        assert_eq!(removed, if native { 0 } else { 3 });
        assert_eq!(manager.active().await.expect("an answer"), Some(0));
    }
}

/// The task collects by itself, and ends when it is told to and when its manager is dropped.
pub async fn the_collecting_task_ends_with_its_manager(context: Context) {
    let short = context.short();
    let manager = context.builder().idle_timeout(short).gc_interval(Duration::from_millis(20));
    let manager = manager.build().expect("a sound configuration");
    begin(&manager, "key", 1).await;
    context.outlive(short).await;
    let (told, left) = (manager.spawn_gc(), manager.spawn_gc());
    if context.counts_exactly() {
        let collected = async || context.provider().count().await.expect("an answer") == Some(0);
        eventually("the task has collected", collected).await;
    }
    told.stop();
    drop(manager);
    eventually("the task has stopped", async || left.is_stopped()).await;
}
