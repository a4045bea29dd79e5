//! Records stay as they were written: renames store all of them, touches change none, and
//! unreadable ones are kept.

use session_core::ErrorKind;
use session_core::accounts::Owner;
use session_core::engine::{Condition, Rename};
use session_core::record::Value;

use super::conditional::same_content;
use super::renaming::{both, tombstone};
use super::unreadable::{damaged, newer};
use crate::{Context, LONG, is_stored, refused};

/// A rename stores the whole record that it is given: a new owner and new values, as a sign-in has
/// them.
pub async fn what_a_rename_writes_is_read(context: Context) {
    for provider in both(&context) {
        let (old, read) = context.stored("before", LONG).await;
        let new = context.id();
        let mut record = context.next(&read, "moved", LONG);
        record.header.owner = Some(Owner::of("ada"));
        record.header.absolute = context.now().after(LONG * 2);
        record.body.insert("added", Value::encode(&[1, 2, 3]).expect("numbers are encoded"));
        let tombstone = tombstone(&context, &read, &new);
        let rename = Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        for handle in [context.provider(), context.another().await] {
            same_content(&handle.read(&new, LONG).await.expect("a read").expect("it is there"), &record);
        }
    }
}

/// A touch by a request that read an older version moves the deadline and does not bring the older
/// values back.
pub async fn a_touch_brings_no_older_values_back(context: Context) {
    let provider = context.provider();
    let (id, seen) = context.stored("older", LONG).await;
    let newer = context.next(&seen, "newer", LONG);
    assert!(is_stored(&provider.write(&id, &newer, Condition::Over(seen.stamp()), LONG).await));
    provider.touch(&id, &seen, LONG).await.expect("an answer");
    let read = context.read(&id).await.expect("it is there");
    assert_eq!(read.header.version(), newer.header.version());
    assert_eq!(context.value(&id).await.as_deref(), Some("newer"));
}

/// The old id of a session is not free before its tombstone has ended: a create that arrives late
/// brings nobody back.
pub async fn a_create_over_a_tombstone_is_refused(context: Context) {
    for provider in both(&context) {
        let (old, read) = context.stored("before", LONG).await;
        let new = context.id();
        let (record, tombstone) = (context.next(&read, "moved", LONG), tombstone(&context, &read, &new));
        let rename = Rename::new((&old, read.stamp()), (&new, &record, LONG), &tombstone);
        assert!(is_stored(&provider.rename(&rename).await));
        let late = context.record("late", LONG);
        refused(provider.write(&old, &late, Condition::Absent, LONG).await);
        assert_eq!(context.value(&old).await, None);
        assert_eq!(context.value(&new).await.as_deref(), Some("moved"));
    }
}

/// Bytes that cannot be read still occupy their place: a create neither replaces them nor says that
/// it did. A destroy removes them first.
pub async fn a_create_over_what_cannot_be_read_is_not_stored(context: Context) {
    let provider = context.provider();
    let whole = context.record("value", LONG);
    for (number, bytes) in damaged(&whole).into_iter().chain([newer(&whole)]).enumerate() {
        let id = context.id();
        if !context.put_raw(&id, bytes).await {
            return;
        }
        let create = context.record("new", LONG);
        let outcome = provider.write(&id, &create, Condition::Absent, LONG).await;
        assert!(!is_stored(&outcome), "number {number} is written over");
        let read = provider.read(&id, LONG).await;
        let error = read.expect_err("it still cannot be read");
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
            "number {number}: {error}"
        );
    }
}
