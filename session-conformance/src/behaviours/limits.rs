//! Records that are too large are refused, and the old record is kept.

use session_core::ErrorKind;
use session_core::engine::Condition;

use crate::{Context, LONG, begin, fails, is_stored, number, open, value_of};

/// More keys or bytes than a manager allows: the session is unchanged and remains usable.
pub async fn a_session_keeps_its_limits(context: Context) {
    let manager = context.builder().max_keys(3).max_bytes(500).build().expect("a valid configuration");
    let token = begin(&manager, "a", 1).await;
    let session = open(&manager, &token).await;
    fails(session.set("large", &"x".repeat(600)), ErrorKind::TooLarge);
    fails(session.update("large", |_: Option<String>| "x".repeat(600)), ErrorKind::TooLarge);
    session.set("b", &2).expect("a set");
    session.set("c", &3).expect("a set");
    fails(session.set("d", &4), ErrorKind::TooLarge);
    session.release().await.expect("what fits is stored");
    let token = session.token().expect("a token");
    assert_eq!(open(&manager, &token).await.keys(), ["a", "b", "c"]);
}

/// Two requests whose changes fit separately but not together: the second is refused, the first's
/// record is kept.
pub async fn a_merge_keeps_the_limits_too(context: Context) {
    let manager = context.builder().max_keys(2).build().expect("a valid configuration");
    let token = begin(&manager, "a", 1).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    first.set("b", &2).expect("a set");
    second.set("c", &3).expect("a set");
    first.release().await.expect("a release");
    fails(second.release().await, ErrorKind::TooLarge);
    assert_eq!(open(&manager, &token).await.keys(), ["a", "b"]);
}

/// A session of a few hundred kilobytes is read unchanged; one above the engine's declared limit is
/// refused.
pub async fn a_large_record_is_kept_or_refused_whole(context: Context) {
    let provider = context.provider();
    let (id, small) = context.stored("small", LONG).await;
    let most = context.capabilities().max_record_bytes;
    let fits = "x".repeat(most.map_or(300_000, |most| (most / 2).min(300_000)));
    let large = context.next(&small, &fits, LONG);
    assert!(is_stored(&provider.write(&id, &large, Condition::Over(small.stamp()), LONG).await));
    let read = context.read(&id).await.expect("it is there");
    assert!(value_of(Some(&read)) == Some(fits), "it comes back as it was");
    if let Some(most) = most {
        let larger = context.next(&read, &"x".repeat(most + 1), LONG);
        fails(provider.write(&id, &larger, Condition::Over(read.stamp()), LONG).await, ErrorKind::TooLarge);
        let still = context.read(&id).await.expect("the old record is kept");
        assert_eq!(still.header.version(), read.header.version());
        let created = context.id();
        fails(provider.write(&created, &larger, Condition::Absent, LONG).await, ErrorKind::TooLarge);
        assert!(context.read(&created).await.is_none());
    }
    provider.destroy(&id, None).await.expect("a destroy");
}

/// Reading a value as another type is a distinct error and changes nothing.
pub async fn a_value_of_another_type_is_an_error_and_is_kept(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 7).await;
    let session = open(&manager, &token).await;
    fails(session.get::<String>("key"), ErrorKind::Codec);
    fails(session.take::<String>("key"), ErrorKind::Codec);
    fails(session.update("key", |old: Option<String>| old.unwrap_or_default()), ErrorKind::Codec);
    session.release().await.expect("nothing has changed");
    assert_eq!(number(&manager, &token, "key").await, Some(7));
}
