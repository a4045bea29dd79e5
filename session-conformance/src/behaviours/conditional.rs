//! A write happens only when its condition holds, as one step of the storage.

use std::sync::Arc;

use session_core::accounts::Owner;
use session_core::engine::Condition;
use session_core::id::StorageId;
use session_core::record::{Body, Record, Stamp, Value};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{Context, LONG, is_stored, refused, value_of};

/// Only where there is nothing under the id.
pub async fn a_create_needs_an_empty_place(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let second = context.record("second", LONG);
    let shown = refused(context.provider().write(&id, &second, Condition::Absent, LONG).await);
    assert_eq!(shown.map(|record| record.header.version()), Some(first.header.version()));
    assert_eq!(context.value(&id).await.as_deref(), Some("first"));
}

/// Every part of it, whatever bytes it has.
pub async fn what_is_written_is_read(context: Context) {
    let id = context.id();
    let mut record = context.record("text", LONG);
    record.header.owner = Some(Owner::of("ada"));
    for key in ["a key with spaces", "schlüssel-钥匙-🔑", "quote'\"`;--", "nul\0and\r\nline", ""] {
        record.body.insert(key, Value::encode(key).expect("text is encoded"));
    }
    let every_byte: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    record.body.insert("bytes", Value::encode(&every_byte).expect("bytes are encoded"));
    assert!(is_stored(&context.provider().write(&id, &record, Condition::Absent, LONG).await));
    same_content(&context.read(&id).await.expect("it is there"), &record);
    same_content(
        &context.another().await.read(&id, LONG).await.expect("a read").expect("it is there"),
        &record,
    );
}

/// Panics unless the record that was read is the one that was written.
#[track_caller]
pub(super) fn same_content(read: &Record, written: &Record) {
    assert_eq!(read.body, written.body);
    let (read, written) = (&read.header, &written.header);
    assert_eq!(
        (&read.state, read.version(), read.created, read.absolute, read.owner),
        (&written.state, written.version(), written.created, written.absolute, written.owner)
    );
}

/// A session that was flushed is still a session.
pub async fn a_session_without_keys_is_kept(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let mut empty = context.next(&first, "", LONG);
    empty.body = Body::default();
    assert!(is_stored(&context.provider().write(&id, &empty, Condition::Over(first.stamp()), LONG).await));
    assert!(context.read(&id).await.expect("it is there").body.is_empty());
}

/// And not a different one: the loser learns what is stored instead.
pub async fn a_replace_needs_the_version_that_was_read(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let second = context.next(&first, "second", LONG);
    assert!(is_stored(&context.provider().write(&id, &second, Condition::Over(first.stamp()), LONG).await));
    let third = context.next(&first, "third", LONG);
    let shown = refused(context.provider().write(&id, &third, Condition::Over(first.stamp()), LONG).await);
    let shown = shown.expect("a refusal shows what is stored");
    assert_eq!(value_of(Some(&shown)).as_deref(), Some("second"));
    assert_eq!(context.value(&id).await.as_deref(), Some("second"));

    // What the refusal showed is good enough to write over: no second read is needed.
    let merged = context.next(&shown, "merged", LONG);
    assert!(is_stored(&context.provider().write(&id, &merged, Condition::Over(shown.stamp()), LONG).await));
    assert_eq!(context.value(&id).await.as_deref(), Some("merged"));
}

/// What a write returns is good enough for the next write.
pub async fn a_replace_over_what_was_just_written_needs_no_read(context: Context) {
    let (id, mut record) = context.stored("0", LONG).await;
    for value in ["1", "2", "3"] {
        let mut next = context.next(&record, value, LONG);
        match context.provider().write(&id, &next, Condition::Over(record.stamp()), LONG).await {
            Ok(session_core::engine::WriteOutcome::Stored(stored)) => next.cas = stored.cas,
            other => panic!("nobody else writes here: {other:?}"),
        }
        record = next;
    }
    assert_eq!(context.value(&id).await.as_deref(), Some("3"));
}

/// A late write finds nothing and stores nothing.
pub async fn a_replace_never_creates(context: Context) {
    let id = context.id();
    let never_stored = context.record("ghost", LONG);
    let next = context.next(&never_stored, "ghost", LONG);
    let over = Condition::Over(never_stored.stamp());
    assert!(refused(context.provider().write(&id, &next, over, LONG).await).is_none());
    assert!(context.read(&id).await.is_none());
    assert!(!context.provider().exists(&id).await.expect("an answer"));
}

/// An engine with a compare token of its own falls back to the version when it gets none.
pub async fn a_stamp_without_the_engines_token_compares_the_version(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let bare = |record: &Record| Condition::Over(Stamp { cas: 0, ..record.stamp() });
    let second = context.next(&first, "second", LONG);
    assert!(is_stored(&context.provider().write(&id, &second, bare(&first), LONG).await));
    let stale = context.next(&first, "stale", LONG);
    refused(context.provider().write(&id, &stale, bare(&first), LONG).await);
    assert_eq!(context.value(&id).await.as_deref(), Some("second"));
}

/// It is refused the second time, and what it shows names it among its last writes, also after others have written.
pub async fn a_write_that_is_sent_twice_is_recognised_by_its_version(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let mine = context.next(&first, "mine", LONG);
    let send = async || context.provider().write(&id, &mine, Condition::Over(first.stamp()), LONG).await;
    assert!(is_stored(&send().await));
    let mut shown = refused(send().await).expect("it is there");
    assert!(shown.header.has_version(mine.header.version()));

    for value in ["2", "3", "4", "5", "6", "7", "8"] {
        let other = context.next(&shown, value, LONG);
        assert!(is_stored(
            &context.provider().write(&id, &other, Condition::Over(shown.stamp()), LONG).await
        ));
        shown = refused(send().await).expect("it is there");
        assert!(shown.header.has_version(mine.header.version()), "remembered after {value} writes");
    }
    assert_eq!(context.value(&id).await.as_deref(), Some("8"));
}

/// Two processes, sixteen writers, one empty place.
pub async fn of_many_creates_at_once_one_is_stored(context: Context) {
    let id = context.id();
    let stored =
        at_once(&context, &id, |context, name| (context.record(name, LONG), Condition::Absent)).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(context.value(&id).await.as_ref(), stored.first());
}

/// Two processes, sixteen writers, one version.
pub async fn of_many_replaces_at_once_one_is_stored(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let stored = at_once(&context, &id, move |context, name| {
        (context.next(&first, name, LONG), Condition::Over(first.stamp()))
    })
    .await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(context.value(&id).await.as_ref(), stored.first());
}

/// The values of those writes that were stored.
async fn at_once(
    context: &Context,
    id: &StorageId,
    write: impl Fn(&Context, &str) -> (Record, Condition),
) -> Vec<String> {
    let handles = [context.provider(), context.another().await];
    let start = Arc::new(Barrier::new(16));
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let name = writer.to_string();
        let (record, condition) = write(context, &name);
        let (provider, id, start) = (handles[writer % 2].clone(), id.clone(), Arc::clone(&start));
        writers.spawn(async move {
            start.wait().await;
            let outcome = provider.write(&id, &record, condition, LONG).await;
            assert!(outcome.is_ok(), "a write of a healthy engine: {outcome:?}");
            is_stored(&outcome).then_some(name)
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

/// What one process stored is there for the other one, and gone for it when it is gone.
pub async fn two_handles_see_one_store(context: Context) {
    let (here, there) = (context.provider(), context.another().await);
    let (id, first) = context.stored("first", LONG).await;
    let seen = there.read(&id, LONG).await.expect("a read").expect("it is there");
    let second = context.next(&seen, "second", LONG);
    assert!(is_stored(&there.write(&id, &second, Condition::Over(seen.stamp()), LONG).await));
    let stale = context.next(&first, "stale", LONG);
    refused(here.write(&id, &stale, Condition::Over(first.stamp()), LONG).await);
    there.destroy(&id, None).await.expect("a destroy");
    assert!(context.read(&id).await.is_none());
    assert!(!here.exists(&id).await.expect("an answer"));
}

/// Writes to one session change no other one, also when ids are alike.
pub async fn every_session_keeps_its_own_record(context: Context) {
    let mut like = [7; 32];
    like[..16].copy_from_slice(&context.id().as_bytes()[..16]);
    let mut ids = Vec::new();
    for number in 0..20_u8 {
        like[31] = number;
        let id = StorageId::from_hash(like);
        let record = context.record(&number.to_string(), LONG);
        assert!(is_stored(&context.provider().write(&id, &record, Condition::Absent, LONG).await));
        ids.push(id);
    }
    context.provider().destroy(&ids[3], None).await.expect("a destroy");
    for (number, id) in ids.iter().enumerate() {
        let expected = (number != 3).then(|| number.to_string());
        assert_eq!(context.value(id).await, expected);
    }
}

/// A provider that is used directly takes the ids that older applications use, and tells them apart.
pub async fn plain_ids_are_taken_as_they_are(context: Context) {
    let unique = context.id().to_text();
    let mut ids = Vec::new();
    for text in [
        format!("xsnk{unique}"),
        format!("XSNK{unique}"),
        format!("{unique}-a.b_c"),
        "x".repeat(200) + &unique,
    ] {
        let id = StorageId::plain(&text).expect("a plain id");
        let record = context.record(&text, LONG);
        assert!(is_stored(&context.provider().write(&id, &record, Condition::Absent, LONG).await), "{text}");
        ids.push((id, text));
    }
    for (id, text) in ids {
        assert_eq!(context.value(&id).await, Some(text));
        context.provider().destroy(&id, None).await.expect("a destroy");
    }
}
