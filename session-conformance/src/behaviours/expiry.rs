//! Expired is gone at the deadline, for every method, and every write says when that is.

use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Rename};

use super::ending::is_gone;
use super::renaming::{both, tombstone};
use crate::{Context, LONG, is_stored, refused};

/// Also before anything was collected.
pub async fn an_expired_session_is_gone_for_every_method(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let (id, record) = context.stored("value", short).await;
    assert!(provider.exists(&id).await.expect("an answer"), "it is there before its deadline");
    context.outlive(short).await;
    is_gone(&context, &id).await;
    assert!(!provider.touch(&id, &record, LONG).await.expect("an answer"), "a touch revives nothing");
    let late = context.next(&record, "late", LONG);
    let over = Condition::Over(record.stamp());
    assert!(refused(provider.write(&id, &late, over, LONG).await).is_none(), "a write revives nothing");
    for stamp in [Some(record.stamp()), None] {
        let outcome = provider.destroy(&id, stamp).await.expect("a destroy");
        assert!(matches!(outcome, DestroyOutcome::Absent), "{outcome:?}");
    }
    is_gone(&context, &id).await;
}

/// A late regeneration brings nothing back, neither under the old id nor under the new one.
pub async fn an_expired_session_is_not_renamed(context: Context) {
    let short = context.short();
    let (old, read) = context.stored("value", short).await;
    context.outlive(short).await;
    for provider in both(&context) {
        let new = context.id();
        let record = context.next(&read, "moved", LONG);
        let tombstone = tombstone(&context, &read, &new);
        refused(provider.rename(&Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone)).await);
        is_gone(&context, &old).await;
        is_gone(&context, &new).await;
    }
}

/// A new session may begin where one has expired.
pub async fn an_expired_place_is_empty(context: Context) {
    let short = context.short();
    let (id, old) = context.stored("old", short).await;
    context.outlive(short).await;
    let new = context.record("new", LONG);
    assert!(is_stored(&context.provider().write(&id, &new, Condition::Absent, LONG).await));
    assert_eq!(context.value(&id).await.as_deref(), Some("new"));
    let late = context.next(&old, "late", LONG);
    refused(context.provider().write(&id, &late, Condition::Over(old.stamp()), LONG).await);
    assert_eq!(context.value(&id).await.as_deref(), Some("new"));
}

/// A create, a replace, a touch and a rename: what each says, ends the session. Shorter than before, and longer.
pub async fn every_write_carries_its_lifetime(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let mut ending = Vec::new();
    let (created, _) = context.stored("created", short).await;
    ending.push(created);

    let (replaced, record) = context.stored("long", LONG).await;
    let next = context.next(&record, "short", short);
    assert!(is_stored(&provider.write(&replaced, &next, Condition::Over(record.stamp()), short).await));
    ending.push(replaced);

    let (touched, record) = context.stored("long", LONG).await;
    assert!(provider.touch(&touched, &record, short).await.expect("an answer"));
    ending.push(touched);

    for provider in both(&context) {
        let (old, read) = context.stored("long", LONG).await;
        let new = context.id();
        let (record, tombstone) = (context.next(&read, "moved", short), tombstone(&context, &read, &new));
        let rename = Rename::new((&old, read.stamp()), (&new, &record, short), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        ending.push(new);
    }

    let (lengthened, record) = context.stored("short", short).await;
    let next = context.next(&record, "long", LONG);
    assert!(is_stored(&provider.write(&lengthened, &next, Condition::Over(record.stamp()), LONG).await));

    context.outlive(short).await;
    for (number, id) in ending.iter().enumerate() {
        assert!(!provider.exists(id).await.expect("an answer"), "number {number} has ended");
        is_gone(&context, id).await;
    }
    assert_eq!(context.value(&lengthened).await.as_deref(), Some("long"));
}

/// A touch moves the deadline and leaves the version, so that it disturbs no writer.
pub async fn a_touch_moves_the_deadline_and_not_the_version(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let (id, record) = context.stored("value", short).await;
    assert!(provider.touch(&id, &record, LONG).await.expect("an answer"));
    context.outlive(short).await;
    let read = context.read(&id).await.expect("the deadline has moved");
    assert_eq!(read.header.version(), record.header.version());
    assert_eq!(read.body, record.body);
    let next = context.next(&record, "next", LONG);
    assert!(is_stored(&provider.write(&id, &next, Condition::Over(record.stamp()), LONG).await));
    assert!(
        !provider.touch(&context.id(), &record, LONG).await.expect("an answer"),
        "there is nothing to touch"
    );
}

/// A read moves the deadline where the engine declares it, and does not where it does not.
pub async fn a_read_slides_as_declared(context: Context) {
    let short = context.short();
    let (id, _) = context.stored("value", short).await;
    // A cache answers by itself for a while, and moves nothing.
    context.pass(context.capabilities().max_stale).await;
    context.read_for(&id, LONG).await.expect("it is there");
    context.outlive(short).await;
    let slides = context.capabilities().slides_on_read;
    assert_eq!(context.provider().exists(&id).await.expect("an answer"), slides);
    assert_eq!(context.read(&id).await.is_some(), slides);
}

/// Asking whether a session is there does not keep it alive.
pub async fn asking_and_counting_do_not_slide(context: Context) {
    let short = context.short();
    let (id, _) = context.stored("value", short).await;
    context.pass(short / 4).await;
    assert!(context.provider().exists(&id).await.expect("an answer"));
    context.provider().count().await.expect("an answer");
    context.outlive(short * 3 / 4).await;
    is_gone(&context, &id).await;
}

/// Tombstones end too, and leave an empty place.
pub async fn a_tombstone_ends(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let (id, record) = context.stored("value", LONG).await;
    let tombstone = tombstone(&context, &record, &context.id());
    assert!(is_stored(&provider.write(&id, &tombstone, Condition::Over(record.stamp()), short).await));
    context.outlive(short).await;
    let outcome = provider.destroy(&id, None).await.expect("a destroy");
    assert!(matches!(outcome, DestroyOutcome::Absent), "{outcome:?}");
    let new = context.record("new", LONG);
    assert!(is_stored(&provider.write(&id, &new, Condition::Absent, LONG).await));
}

/// A lifetime below the engine's granularity is rounded up: neither refused, nor for ever.
pub async fn the_shortest_lifetime_is_not_for_ever(context: Context) {
    let shortest = Duration::from_nanos(1);
    let id = context.id();
    let record = context.record("value", shortest);
    assert!(is_stored(&context.provider().write(&id, &record, Condition::Absent, shortest).await));
    let (touched, record) = context.stored("value", LONG).await;
    context.provider().touch(&touched, &record, shortest).await.expect("an answer");
    context.outlive(Duration::from_millis(1)).await;
    is_gone(&context, &id).await;
    is_gone(&context, &touched).await;
}

/// Sixty days and four hundred: some servers read a large number of seconds as a date.
pub async fn a_long_lifetime_is_not_short(context: Context) {
    for days in [29, 31, 60, 400] {
        let lifetime = Duration::from_secs(days * 24 * 3_600);
        let (id, record) = context.stored("value", lifetime).await;
        assert!(context.provider().touch(&id, &record, lifetime).await.expect("an answer"), "{days} days");
        context.pass(Duration::from_millis(5)).await;
        assert!(context.read_for(&id, lifetime).await.is_some(), "{days} days");
        context.provider().destroy(&id, None).await.expect("a destroy");
    }
}

/// The deadline itself is too late, and a millisecond before it is not (engines on the core's clock; a server's clock
/// cannot be asked so exactly).
pub async fn the_deadline_is_exact_where_the_clock_is_ours(context: Context) {
    let (provider, short) = (context.provider(), context.short());
    let (id, _) = context.stored("value", short).await;
    if context.capabilities().time_source != session_core::engine::TimeSource::Core {
        context.outlive(short).await;
        return is_gone(&context, &id).await;
    }
    context.pass(short.saturating_sub(Duration::from_millis(1))).await;
    assert!(provider.exists(&id).await.expect("an answer"));
    context.pass(Duration::from_millis(1)).await;
    is_gone(&context, &id).await;
}
