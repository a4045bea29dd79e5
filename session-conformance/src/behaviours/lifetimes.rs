//! How long a record lives: beyond what numbers hold, not beyond its absolute deadline, and only as
//! the last call said that was done.

use std::time::Duration;

use session_core::clock::Timestamp;
use session_core::engine::{Condition, DestroyOutcome, Rename, TOMBSTONE_TTL};

use super::ending::is_gone;
use super::renaming::{both, tombstone};
use crate::{Context, LONG, is_stored, refused};

/// The year 9999, what 31, 32 and 63 bits of seconds or milliseconds hold, and more than any number
/// holds: stored for long, by every method. No panic, no error, and no number that turned negative.
pub async fn a_lifetime_beyond_all_numbers_is_long(context: Context) {
    let lifetimes = [
        Duration::from_secs(i32::MAX.unsigned_abs().into()),
        Duration::from_secs(u32::MAX.into()),
        Duration::from_secs(8_000 * 365 * 86_400),
        Duration::from_micros(i64::MAX.unsigned_abs()),
        Duration::from_millis(i64::MAX.unsigned_abs()),
        Duration::from_millis(u64::MAX),
        Duration::from_secs(i64::MAX.unsigned_abs()),
        Duration::MAX,
    ];
    for lifetime in lifetimes {
        let provider = context.provider();
        let (id, record) = context.stored("created", lifetime).await;
        assert!(provider.exists(&id).await.expect("an answer"), "created for {lifetime:?}");
        assert!(provider.touch(&id, &record, lifetime).await.expect("an answer"), "touched for {lifetime:?}");
        let read = context.read_for(&id, lifetime).await.expect("it was touched");
        let mut next = context.next(&read, "replaced", lifetime);
        next.header.absolute = Timestamp::MAX;
        let written = provider.write(&id, &next, Condition::Over(read.stamp()), lifetime).await;
        assert!(is_stored(&written), "replaced for {lifetime:?}: {written:?}");
        let read = context.read_for(&id, lifetime).await.expect("it was replaced");
        let new = context.id();
        let (record, tombstone) = (context.next(&read, "moved", lifetime), tombstone(&context, &read, &new));
        let rename = Rename::new((&id, read.stamp()), (&new, &record, lifetime), &tombstone);
        let moved = provider.rename(&rename).await;
        assert!(is_stored(&moved), "moved for {lifetime:?}: {moved:?}");
        context.pass(Duration::from_millis(5)).await;
        let read = context.read_for(&new, lifetime).await;
        assert!(read.is_some_and(|read| read.is_live()), "{lifetime:?} are not over");
        provider.gc(100).await.expect("a collection");
        let outcome = provider.destroy(&new, None).await.expect("a destroy");
        assert!(matches!(outcome, DestroyOutcome::Destroyed), "{lifetime:?}: {outcome:?}");
    }
}

/// A create, a replace and a rename that are given more time than the record's absolute deadline
/// leaves. The manager never asks for that; applications that use a provider directly may.
pub async fn no_write_outlives_the_absolute_deadline(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let ending = context.now().after(short);
    let created = context.id();
    let mut record = context.record("created", LONG);
    record.header.absolute = ending;
    assert!(is_stored(&provider.write(&created, &record, Condition::Absent, LONG).await));

    let (replaced, read) = context.stored("before", LONG).await;
    let mut next = context.next(&read, "replaced", LONG);
    next.header.absolute = ending;
    assert!(is_stored(&provider.write(&replaced, &next, Condition::Over(read.stamp()), LONG).await));

    let mut ids = vec![created, replaced];
    for provider in both(&context) {
        let (old, read) = context.stored("before", LONG).await;
        let new = context.id();
        let mut record = context.next(&read, "moved", LONG);
        record.header.absolute = ending;
        let tombstone = tombstone(&context, &read, &new);
        let rename = Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        ids.push(new);
    }
    context.outlive(short).await;
    for (number, id) in ids.iter().enumerate() {
        assert!(!provider.exists(id).await.expect("an answer"), "number {number} is past its deadline");
        is_gone(&context, id).await;
    }
}

/// A touch that is given more time than the absolute deadline leaves. Engines whose reads slide are
/// not asked to touch.
pub async fn no_touch_outlives_the_absolute_deadline(context: Context) {
    if context.capabilities().slides_on_read {
        return;
    }
    let (provider, short) = (context.provider(), context.short());
    let id = context.id();
    let mut record = context.record("value", short);
    record.header.absolute = context.now().after(short);
    assert!(is_stored(&provider.write(&id, &record, Condition::Absent, short).await));
    let seen = context.read_for(&id, short).await.expect("it is there");
    assert!(provider.touch(&id, &seen, LONG).await.expect("an answer"));
    context.outlive(short).await;
    assert!(!provider.exists(&id).await.expect("an answer"), "it is past its absolute deadline");
    is_gone(&context, &id).await;
}

/// A write, a rename and a destroy that were refused leave the deadline where it was.
pub async fn what_is_refused_moves_no_deadline(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let mut ids = Vec::new();
    for attempt in 0..3 {
        let (id, first) = context.stored("first", LONG).await;
        let second = context.next(&first, "second", short);
        assert!(is_stored(&provider.write(&id, &second, Condition::Over(first.stamp()), short).await));
        let late = context.next(&first, "late", LONG);
        match attempt {
            0 => drop(refused(provider.write(&id, &late, Condition::Over(first.stamp()), LONG).await)),
            1 => drop(refused(provider.write(&id, &late, Condition::Absent, LONG).await)),
            _ => {
                let outcome = provider.destroy(&id, Some(first.stamp())).await.expect("a destroy");
                assert!(matches!(outcome, DestroyOutcome::Refused(_)), "{outcome:?}");
            }
        }
        ids.push(id);
    }
    context.outlive(short).await;
    for (number, id) in ids.iter().enumerate() {
        assert!(!provider.exists(id).await.expect("an answer"), "number {number} has ended");
    }
}

/// A rename gives the session the lifetime that it says, also a longer one than before.
pub async fn a_rename_lengthens_a_lifetime(context: Context) {
    let short = context.short();
    let mut moved = Vec::new();
    for provider in both(&context) {
        let (old, read) = context.stored("before", short).await;
        let new = context.id();
        let (record, tombstone) = (context.next(&read, "moved", LONG), tombstone(&context, &read, &new));
        let rename = Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        moved.push(new);
    }
    context.outlive(short).await;
    for id in moved {
        assert_eq!(context.value(&id).await.as_deref(), Some("moved"));
    }
}

/// A tombstone is there for requests that still hold the old id, and then it is not. Where the
/// clock cannot be turned the test does not wait for its end.
pub async fn a_tombstone_lasts_a_minute(context: Context) {
    for provider in both(&context) {
        let (old, read) = context.stored("before", context.short()).await;
        let new = context.id();
        let (record, tombstone) = (context.next(&read, "moved", LONG), tombstone(&context, &read, &new));
        let rename = Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        let turned = context.clock().is_some();
        context.pass(if turned { TOMBSTONE_TTL * 9 / 10 } else { context.short() }).await;
        let outcome = provider.destroy(&old, None).await.expect("a destroy");
        assert!(matches!(&outcome, DestroyOutcome::Moved(to) if *to == new), "{outcome:?}");
        if turned {
            context.outlive(TOMBSTONE_TTL / 10).await;
            let outcome = provider.destroy(&old, None).await.expect("a destroy");
            assert!(matches!(outcome, DestroyOutcome::Absent), "{outcome:?}");
        }
    }
}
