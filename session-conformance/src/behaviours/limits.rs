//! What is too large is refused, and the old record stays.

use session_core::ErrorKind;
use session_core::engine::Condition;

use crate::{Context, LONG, begin, fails, is_stored, number, open, value_of};

/// More keys or bytes than a manager allows: the session stays as it was, and goes on.
pub async fn a_session_keeps_its_limits(context: Context) {
    let manager = context.builder().max_keys(3).max_bytes(500).build().expect("a sound configuration");
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

/// Two requests whose changes fit alone and not together: the second is refused, the first's record stays.
pub async fn a_merge_keeps_the_limits_too(context: Context) {
    let manager = context.builder().max_keys(2).build().expect("a sound configuration");
    let token = begin(&manager, "a", 1).await;
    let (first, second) = (open(&manager, &token).await, open(&manager, &token).await);
    first.set("b", &2).expect("a set");
    second.set("c", &3).expect("a set");
    first.release().await.expect("a release");
    fails(second.release().await, ErrorKind::TooLarge);
    assert_eq!(open(&manager, &token).await.keys(), ["a", "b"]);
}

/// A session of a few hundred kilobytes comes back as it was; what the engine declares as too large is refused.
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

/// A value of another type than what is asked for is an error of its own, and no harm is done.
pub async fn a_value_of_another_type_is_an_error_and_stays(context: Context) {
    let manager = context.manager();
    let token = begin(&manager, "key", 7).await;
    let session = open(&manager, &token).await;
    fails(session.get::<String>("key"), ErrorKind::Codec);
    fails(session.take::<String>("key"), ErrorKind::Codec);
    fails(session.update("key", |old: Option<String>| old.unwrap_or_default()), ErrorKind::Codec);
    session.release().await.expect("nothing has changed");
    assert_eq!(number(&manager, &token, "key").await, Some(7));
}
