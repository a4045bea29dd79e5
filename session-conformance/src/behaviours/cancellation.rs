//! A call of the engine may be dropped at any await: the store stays whole, and nobody reads another's session.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use session_core::Provider;
use session_core::engine::{Condition, Rename};
use session_core::id::StorageId;
use tokio::task::JoinSet;

use super::renaming::tombstone;
use crate::cut::{Polls, cut};
use crate::layers::ByWrites;
use crate::{Context, LONG, is_stored};

/// Some sessions beside the one that is worked on.
async fn neighbours(context: &Context) -> Vec<(StorageId, String)> {
    let mut neighbours = Vec::new();
    for number in 0..6 {
        let value = format!("neighbour {number}");
        neighbours.push((context.stored(&value, LONG).await.0, value));
    }
    neighbours
}

/// Everybody reads their own, all at once.
async fn nobody_is_mixed_up(context: &Context, neighbours: &[(StorageId, String)]) {
    let mut reads = JoinSet::new();
    for (id, value) in neighbours.iter().cloned() {
        let context = context.clone();
        reads.spawn(async move { assert_eq!(context.value(&id).await, Some(value)) });
    }
    while let Some(read) = reads.join_next().await {
        read.expect("everybody reads their own session");
    }
}

/// The session can still be read, and written to; a write that was dropped may come late, once.
async fn still_works(context: &Context, id: &StorageId) {
    for _ in 0..20 {
        let Some(read) = context.read(id).await.filter(session_core::record::Record::is_live) else { return };
        let next = context.next(&read, "works", LONG);
        let written = context.provider().write(id, &next, Condition::Over(read.stamp()), LONG).await;
        if is_stored(&written) {
            return;
        }
    }
    panic!("a session that nobody else writes to takes no write");
}

type Cut<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Runs one call many times, dropped at each of its polls, until it comes to its end.
async fn at_every_poll(
    context: &Context,
    call: impl for<'a> Fn(usize, &'a Context, &'a StorageId) -> Cut<'a>,
) {
    let neighbours = neighbours(context).await;
    let mut polls = Polls::from(0);
    while let Some(cut_at) = polls.next_cut() {
        let (id, _) = context.stored("before", LONG).await;
        let done = call(cut_at, context, &id).await;
        if cut_at % 2 == 1 {
            // Sometimes at once, sometimes after an answer may have come.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        nobody_is_mixed_up(context, &neighbours).await;
        still_works(context, &id).await;
        let (after, _) = context.stored("after", LONG).await;
        assert_eq!(context.value(&after).await.as_deref(), Some("after"), "the engine goes on");
        polls.done(done.then_some(()));
    }
}

/// A read, an `exists` and a `touch`.
pub async fn a_dropped_read_mixes_nothing_up(context: Context) {
    at_every_poll(&context, |polls, context, id| {
        Box::pin(async move {
            let read = cut(polls, context.provider().read(id, LONG)).await;
            read.is_some_and(|read| read.expect("a read").is_some())
        })
    })
    .await;
    at_every_poll(&context, |polls, context, id| {
        Box::pin(async move { cut(polls, context.provider().exists(id)).await.is_some() })
    })
    .await;
    at_every_poll(&context, |polls, context, id| {
        Box::pin(async move {
            let seen = context.read(id).await.expect("it is there");
            cut(polls, context.provider().touch(id, &seen, LONG)).await.is_some()
        })
    })
    .await;
}

/// A create and a replace: the record is the old one or the new one, whole.
pub async fn a_dropped_write_is_done_or_not(context: Context) {
    at_every_poll(&context, |polls, context, id| {
        Box::pin(async move {
            let seen = context.read(id).await.expect("it is there");
            let next = context.next(&seen, &"after".repeat(1_000), LONG);
            let provider = context.provider();
            let done = cut(polls, provider.write(id, &next, Condition::Over(seen.stamp()), LONG)).await;
            let value = context.value(id).await.expect("it is there, before and after");
            assert!(value == "before" || value.len() == 5_000, "a half-written record");
            done.is_some()
        })
    })
    .await;
    at_every_poll(&context, |polls, context, _| {
        Box::pin(async move {
            let (id, record) = (context.id(), context.record("created", LONG));
            let done = cut(polls, context.provider().write(&id, &record, Condition::Absent, LONG)).await;
            assert!(context.value(&id).await.is_none_or(|value| value == "created"));
            still_works(context, &id).await;
            done.is_some()
        })
    })
    .await;
}

/// A destroy, and a rename by the engine's means and by the default: one session or none, never two.
pub async fn a_dropped_end_or_move_is_done_or_not(context: Context) {
    at_every_poll(&context, |polls, context, id| {
        Box::pin(async move { cut(polls, context.provider().destroy(id, None)).await.is_some() })
    })
    .await;
    for by_writes in [false, true] {
        at_every_poll(&context, move |polls, context, old| {
            Box::pin(async move {
                let provider: Arc<dyn Provider> =
                    if by_writes { Arc::new(ByWrites(context.provider())) } else { context.provider() };
                let read = context.read(old).await.expect("it is there");
                let new = context.id();
                let record = context.next(&read, "moved", LONG);
                let tombstone = tombstone(context, &read, &new);
                let rename = Rename::new((old, read.stamp()), (&new, &record, LONG), &tombstone);
                let done = cut(polls, provider.rename(&rename)).await.is_some();
                // Sent again, as the core does, it is done; and then there is one session.
                assert!(is_stored(&provider.rename(&rename).await));
                assert!(context.value(old).await.is_none());
                assert_eq!(context.value(&new).await.as_deref(), Some("moved"));
                done
            })
        })
        .await;
    }
}

/// Counting and collecting.
pub async fn a_dropped_collection_harms_nobody(context: Context) {
    at_every_poll(&context, |polls, context, _| {
        Box::pin(async move { cut(polls, context.provider().count()).await.is_some() })
    })
    .await;
    at_every_poll(&context, |polls, context, _| {
        Box::pin(async move { cut(polls, context.provider().gc(10)).await.is_some() })
    })
    .await;
}

/// Hundreds of readers of different sessions, every second one of whom hangs up half-way.
pub async fn many_dropped_reads_at_once_mix_nothing_up(context: Context) {
    let neighbours = neighbours(&context).await;
    let mut readers = JoinSet::new();
    for reader in 0..300 {
        let (id, value) = neighbours[reader % neighbours.len()].clone();
        let context = context.clone();
        readers.spawn(async move {
            if reader % 2 == 0 {
                cut(1 + reader / 2 % 4, context.provider().read(&id, LONG)).await;
            } else {
                assert_eq!(context.value(&id).await, Some(value));
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.expect("everybody reads their own session");
    }
    nobody_is_mixed_up(&context, &neighbours).await;
}
