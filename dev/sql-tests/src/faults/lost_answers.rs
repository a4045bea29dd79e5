//! Answers that are lost on their way.

use session_core::engine::{Condition, DestroyOutcome};
use session_core::{ErrorKind, Provider};

use crate::records::{MINUTE, Move, changed, create, found, id, is_stored, record, replace};
use crate::{Engine, Table};

pub async fn a_lost_answer_to_a_write_is_unknown_and_the_retry_finds_its_own_version<E: Engine>() {
    let (proxy, sessions) = Table::<E>::behind_proxy("lost_answers", &[]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let second = changed(&first, "b");
    replace(&sessions, &id("a"), &first, &second).await; // prepares the statements
    let third = changed(&second, "c");
    let over = Condition::Over(second.stamp());

    proxy.lose_answers(1, b"");
    let error = sessions.write(&id("a"), &third, over, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let current = found(sessions.write(&id("a"), &third, over, MINUTE).await.unwrap()).unwrap();
    assert!(current.header.has_version(third.header.version()), "it was applied, once");

    let there = Move::new(&id("a"), &id("b"), &third);
    let again = Move::new(&id("b"), &id("c"), &there.record);
    assert!(is_stored(&sessions.rename(&there.as_rename()).await.unwrap()));
    proxy.lose_answers(1, b"");
    let error = sessions.rename(&again.as_rename()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(is_stored(&sessions.rename(&again.as_rename()).await.unwrap()));

    create(&sessions, &id("z"), &record("z")).await;
    sessions.destroy(&id("z"), None).await.unwrap();
    proxy.lose_answers(1, b"");
    let error = sessions.destroy(&id("c"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(matches!(sessions.destroy(&id("c"), None).await.unwrap(), DestroyOutcome::Absent));

    proxy.lose_answers(1, b"");
    let error = sessions.read(&id("c"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "a lost read changed nothing");
}
