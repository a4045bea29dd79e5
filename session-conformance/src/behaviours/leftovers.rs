//! A collection removes everything that has ended, tombstones too, and nothing of another
//! application.

use session_core::engine::Condition;

use super::renaming::tombstone;
use crate::{Context, LONG, is_stored};

/// Tombstones end as sessions do, and a store that kept them would grow with every sign-in.
pub async fn tombstones_are_collected_too(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    for _ in 0..6 {
        let (id, record) = context.stored("value", LONG).await;
        let tombstone = tombstone(&context, &record, &context.id());
        assert!(is_stored(&provider.write(&id, &tombstone, Condition::Over(record.stamp()), short).await));
    }
    context.outlive(short).await;
    let due = provider.due().await.expect("a count");
    let mut removed = 0;
    for _ in 0..100 {
        let batch = provider.gc(4).await.expect("a collection");
        removed += batch;
        if batch < 4 {
            break;
        }
    }
    // What a storage removes by itself cannot be counted.
    if context.counts_exactly() && !context.capabilities().native_expiry {
        assert_eq!(removed, 6);
        assert!(due.is_none_or(|due| due == 6), "{due:?} were to be removed");
        assert_eq!(provider.gc(100).await.expect("a collection"), 0, "they are gone");
    }
}

/// None at all, and more than a storage has numbers for.
pub async fn a_collection_takes_any_limit(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let (lives, _) = context.stored("lives", LONG).await;
    context.stored("expires", short).await;
    context.outlive(short).await;
    let none = provider.gc(0).await.expect("a collection");
    let all = provider.gc(usize::MAX).await.expect("a collection");
    if context.counts_exactly() && !context.capabilities().native_expiry {
        assert_eq!(none + all, 1);
    }
    assert_eq!(context.value(&lives).await.as_deref(), Some("lives"));
}

/// Two applications that share a server under two prefixes, or in two tables: the same id is two
/// sessions.
pub async fn another_place_is_left_alone(context: Context) {
    let Some(there) = context.neighbour().await else { return };
    let (here, short) = (context.provider(), context.short());
    let (id, _) = context.stored("here", LONG).await;
    let record = context.record("there", LONG);
    assert!(is_stored(&there.write(&id, &record, Condition::Absent, LONG).await), "its place is empty");
    let expired = context.id();
    let record = context.record("there", short);
    assert!(is_stored(&there.write(&expired, &record, Condition::Absent, short).await));
    context.outlive(short).await;

    while here.gc(10).await.expect("a collection") >= 10 {}
    assert_eq!(context.value(&id).await.as_deref(), Some("here"));
    here.destroy(&id, None).await.expect("a destroy");
    let kept = there.read(&id, LONG).await.expect("a read");
    assert_eq!(crate::value_of(kept.as_ref()).as_deref(), Some("there"));
    if context.counts_exactly() {
        assert_eq!(here.count().await.expect("an answer"), Some(0));
        if !context.capabilities().native_expiry {
            assert_eq!(
                there.gc(10).await.expect("a collection"),
                1,
                "what has expired there is collected there"
            );
        }
        assert_eq!(there.count().await.expect("an answer"), Some(1));
    }
    there.destroy(&id, None).await.expect("a destroy");
}
