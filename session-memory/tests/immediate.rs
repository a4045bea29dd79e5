//! Immediate answers equal those of asynchronous calls.

mod common;

use common::{MINUTE, id, next, record, store, tombstone};
use session_core::Provider as _;
use session_core::clock::Clock as _;
use session_core::engine::{Condition, WriteOutcome};

#[tokio::test]
async fn immediate_answers_equal_those_of_calls() {
    let (provider, clock) = store(|builder| builder);
    let engine = provider.as_immediate().unwrap();
    let (first, second) = (record(&clock, 0), id(1));
    for (condition, is_stored) in [(Condition::Over(first.stamp()), false), (Condition::Absent, true)] {
        let outcome = engine.write_at_once(&second, &first, condition, MINUTE).unwrap().unwrap();
        assert_eq!(matches!(outcome, WriteOutcome::Stored(_)), is_stored);
    }
    let changed = next(&first, 1);
    let over = Condition::Over(first.stamp());
    engine.write_at_once(&second, &changed, over, MINUTE).unwrap().unwrap();
    let at_once = engine.read_at_once(&second, MINUTE * 2).unwrap().unwrap().unwrap();
    assert_eq!((at_once.header.version(), &at_once.body), (changed.header.version(), &changed.body));
    assert_eq!(at_once.header.deadline, clock.now().after(MINUTE * 2), "the read slides");
    assert_eq!(Some(at_once), provider.read(&second, MINUTE * 2).await.unwrap());

    let moved = tombstone(&changed, &id(2), clock.now().after(MINUTE));
    let over = Condition::Over(changed.stamp());
    engine.write_at_once(&second, &moved, over, MINUTE).unwrap().unwrap();
    let read = engine.read_at_once(&second, MINUTE).unwrap().unwrap();
    assert_eq!(read, provider.read(&second, MINUTE).await.unwrap());
    clock.advance(MINUTE);
    assert_eq!(engine.read_at_once(&second, MINUTE).unwrap().unwrap(), None, "expired");
}

#[tokio::test]
async fn a_full_store_does_not_answer_at_once_and_makes_room_in_a_call() {
    let (provider, clock) = store(|builder| builder.max_sessions(1));
    let engine = provider.as_immediate().unwrap();
    let first = record(&clock, 0);
    let write = |number: usize| engine.write_at_once(&id(number), &first, Condition::Absent, MINUTE);
    assert!(write(0).is_some() && write(1).is_none());
    assert_eq!(provider.count().await.unwrap(), Some(1), "nothing was done");
    clock.advance(MINUTE);
    assert!(write(1).is_none());
    let outcome = provider.write(&id(1), &record(&clock, 1), Condition::Absent, MINUTE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)));
}

#[test]
fn sessions_can_be_listed_and_scanned() {
    let (provider, _) = store(|builder| builder);
    assert!(provider.as_indexed().is_some() && provider.as_scan().is_some());
}
