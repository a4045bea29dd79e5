//! A removed session is gone for good.

use session_core::engine::{Condition, DestroyOutcome};
use session_core::id::StorageId;

use crate::{Context, LONG, is_stored, refused, value_of};

/// It cannot be read, found, touched, replaced, or destroyed again.
pub async fn a_destroyed_session_is_gone_for_every_method(context: Context) {
    let provider = context.provider();
    let (id, record) = context.stored("value", LONG).await;
    assert!(provider.exists(&id).await.expect("an answer"));
    let outcome = provider.destroy(&id, Some(record.stamp())).await.expect("a destroy");
    assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
    is_gone(&context, &id).await;
    assert!(!provider.touch(&id, &record, LONG).await.expect("an answer"));
    let late = context.next(&record, "late", LONG);
    assert!(refused(provider.write(&id, &late, Condition::Over(record.stamp()), LONG).await).is_none());
    let again = provider.destroy(&id, Some(record.stamp())).await.expect("a destroy");
    assert!(matches!(again, DestroyOutcome::Absent), "{again:?}");
    is_gone(&context, &id).await;
}

pub(super) async fn is_gone(context: &Context, id: &StorageId) {
    for provider in [context.provider(), context.another().await] {
        assert!(!provider.exists(id).await.expect("an answer"));
        assert!(provider.read(id, LONG).await.expect("a read").is_none_or(|record| !record.is_live()));
    }
}

/// The result says that there was no session.
pub async fn a_destroy_of_nothing_is_not_an_error(context: Context) {
    let record = context.record("never stored", LONG);
    for stamp in [None, Some(record.stamp())] {
        let outcome = context.provider().destroy(&context.id(), stamp).await.expect("a destroy");
        assert!(matches!(outcome, DestroyOutcome::Absent), "{outcome:?}");
    }
}

/// The session was changed since: the caller gets the current record and decides.
pub async fn a_destroy_with_an_old_stamp_is_refused(context: Context) {
    let provider = context.provider();
    let (id, first) = context.stored("first", LONG).await;
    let second = context.next(&first, "second", LONG);
    assert!(is_stored(&provider.write(&id, &second, Condition::Over(first.stamp()), LONG).await));
    match provider.destroy(&id, Some(first.stamp())).await.expect("a destroy") {
        DestroyOutcome::Refused(shown) => {
            assert_eq!(value_of(Some(&shown)).as_deref(), Some("second"));
            assert_eq!(context.value(&id).await.as_deref(), Some("second"));
            let outcome = provider.destroy(&id, Some(shown.stamp())).await.expect("a destroy");
            assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    is_gone(&context, &id).await;
}

/// Also if its version is a later one.
pub async fn a_destroy_without_a_stamp_removes_any_version(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    let second = context.next(&first, "second", LONG);
    assert!(is_stored(&context.provider().write(&id, &second, Condition::Over(first.stamp()), LONG).await));
    let outcome = context.provider().destroy(&id, None).await.expect("a destroy");
    assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
    is_gone(&context, &id).await;
}

/// After a logout only a create can use the same id.
pub async fn a_destroyed_id_is_unused(context: Context) {
    let (id, first) = context.stored("first", LONG).await;
    context.provider().destroy(&id, None).await.expect("a destroy");
    let second = context.record("second", LONG);
    assert!(is_stored(&context.provider().write(&id, &second, Condition::Absent, LONG).await));
    let late = context.next(&first, "late", LONG);
    refused(context.provider().write(&id, &late, Condition::Over(first.stamp()), LONG).await);
    assert_eq!(context.value(&id).await.as_deref(), Some("second"));
}

/// Sixteen concurrent writes and destroys: each time the session is gone, or the destroy reports a
/// conflict.
pub async fn a_destroy_and_a_write_at_once_leave_no_half_session(context: Context) {
    let (here, there) = (context.provider(), context.another().await);
    for round in 0..16 {
        let (id, first) = context.stored("first", LONG).await;
        let second = context.next(&first, "second", LONG);
        let write = {
            let (here, id, first) = (here.clone(), id.clone(), first.clone());
            tokio::spawn(async move { here.write(&id, &second, Condition::Over(first.stamp()), LONG).await })
        };
        let destroy = {
            let (there, id) = (there.clone(), id.clone());
            tokio::spawn(async move { there.destroy(&id, Some(first.stamp())).await })
        };
        let stored = is_stored(&write.await.expect("no panic"));
        let destroyed = destroy.await.expect("no panic").expect("a destroy");
        match (stored, destroyed) {
            (true, DestroyOutcome::Refused(_)) => {
                assert_eq!(context.value(&id).await.as_deref(), Some("second"), "round {round}");
            }
            (false, DestroyOutcome::Destroyed) => is_gone(&context, &id).await,
            (stored, other) => {
                panic!("round {round}: the write was stored: {stored}, but the destroy {other:?}")
            }
        }
    }
}
