//! The lazy deadline queue: collections must not miss an expired session, nor end one early.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{DAY, MINUTE, create, id, next, owned, record, store, tombstone};
use session_core::Provider as _;
use session_core::clock::{Clock as _, ManualClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, TOMBSTONE_TTL, WriteOutcome};
use session_memory::MemoryProvider;

#[tokio::test]
async fn a_collection_removes_only_expired_sessions_in_bounded_batches() {
    let (provider, clock) = store(|builder| builder);
    for number in 0..1_000 {
        let idle = if number % 2 == 0 { MINUTE } else { MINUTE * 2 };
        create(&provider, &id(number), &record(&clock, 0), idle).await.unwrap();
    }
    assert_eq!(provider.gc(10_000).await.unwrap(), 0);
    clock.advance(MINUTE);
    assert_eq!(provider.count().await.unwrap(), Some(1_000), "not collected yet");
    assert_eq!(provider.gc(300).await.unwrap(), 300);
    assert_eq!(provider.gc(300).await.unwrap(), 200);
    assert_eq!(provider.gc(300).await.unwrap(), 0);
    assert_eq!(provider.count().await.unwrap(), Some(500));
    assert!(provider.exists(&id(1)).await.unwrap() && !provider.exists(&id(2)).await.unwrap());
}

#[tokio::test]
async fn a_session_in_use_is_refiled_when_due_and_collected_when_it_ends() {
    let (provider, clock) = store(|builder| builder);
    create(&provider, &id(1), &record(&clock, 0), MINUTE).await.unwrap();
    for _ in 0..10 {
        clock.advance(Duration::from_millis(59_999));
        let read = provider.read(&id(1), MINUTE).await.unwrap().unwrap();
        assert_eq!(read.header.deadline, clock.now().after(MINUTE));
        assert_eq!(provider.gc(10).await.unwrap(), 0);
    }
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 1);
    assert_eq!(provider.count().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_shortened_idle_time_decides_when_a_session_is_collected() {
    let (provider, clock) = store(|builder| builder);
    let first = record(&clock, 0);
    for number in 0..3 {
        create(&provider, &id(number), &first, DAY).await.unwrap();
    }
    provider.read(&id(0), MINUTE).await.unwrap();
    let over = Condition::Over(first.stamp());
    provider.write(&id(1), &next(&first, 1), over, MINUTE).await.unwrap();
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 2);
    assert_eq!(provider.count().await.unwrap(), Some(1));
}

#[tokio::test]
async fn activity_does_not_extend_a_session_beyond_its_absolute_deadline() {
    let (provider, clock) = store(|builder| builder);
    let mut first = record(&clock, 0);
    first.header.absolute = clock.now().after(MINUTE * 2);
    create(&provider, &id(1), &first, DAY).await.unwrap();
    clock.advance(MINUTE);
    let read = provider.read(&id(1), DAY).await.unwrap().unwrap();
    assert_eq!(read.header.deadline, first.header.absolute);
    clock.advance(MINUTE);
    assert!(provider.read(&id(1), DAY).await.unwrap().is_none());
    assert_eq!(provider.gc(10).await.unwrap(), 1);
}

#[tokio::test]
async fn the_count_is_exact_through_every_change_and_does_not_count_tombstones() {
    let (provider, clock) = store(|builder| builder);
    let count = async || provider.count().await.unwrap().unwrap();
    let (first, other) = (record(&clock, 0), owned(&clock, "ada"));
    create(&provider, &id(1), &first, MINUTE).await.unwrap();
    create(&provider, &id(2), &other, MINUTE).await.unwrap();
    assert_eq!(count().await, 2);

    let grave = tombstone(&first, &id(3), clock.now().after(TOMBSTONE_TTL));
    provider.write(&id(1), &grave, Condition::Over(first.stamp()), TOMBSTONE_TTL).await.unwrap();
    assert_eq!(count().await, 1);
    assert!(
        matches!(provider.destroy(&id(1), None).await.unwrap(), DestroyOutcome::Moved(target) if target == id(3))
    );
    assert!(provider.read(&id(1), MINUTE).await.unwrap().is_some_and(|record| !record.is_live()));

    provider.destroy(&id(2), Some(other.stamp())).await.unwrap();
    assert_eq!(count().await, 0);

    create(&provider, &id(4), &first, MINUTE).await.unwrap();
    clock.advance(MINUTE);
    // Writes over the expired session, which was still counted, and over the expired tombstone,
    // which was not.
    create(&provider, &id(4), &record(&clock, 1), MINUTE).await.unwrap();
    create(&provider, &id(1), &record(&clock, 1), MINUTE).await.unwrap();
    assert_eq!(count().await, 2);
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 2);
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn a_write_over_an_expired_session_is_refused_as_if_nothing_were_there() {
    let (provider, clock) = store(|builder| builder);
    let first = record(&clock, 0);
    create(&provider, &id(1), &first, MINUTE).await.unwrap();
    clock.advance(MINUTE);
    let late =
        provider.write(&id(1), &next(&first, 1), Condition::Over(first.stamp()), MINUTE).await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    assert!(matches!(provider.destroy(&id(1), None).await.unwrap(), DestroyOutcome::Absent));
}

#[tokio::test]
async fn no_lifetime_is_a_panic_or_longer_than_the_absolute_one() {
    const YEAR_9999: u64 = 253_402_300_799;
    for now in [0, i32::MAX.unsigned_abs().into(), u32::MAX.into(), YEAR_9999, u64::MAX / 1_000] {
        let clock = ManualClock::new(Timestamp::from_millis(now.saturating_mul(1_000)));
        let provider = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap();
        for lifetime in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(YEAR_9999), Duration::MAX]
        {
            let mut first = record(&clock, 0);
            for absolute in [first.header.absolute, Timestamp::MAX] {
                first.header.absolute = absolute;
                provider.write(&id(0), &first, Condition::Absent, lifetime).await.unwrap();
                if let Some(read) = provider.read(&id(0), lifetime).await.unwrap() {
                    assert!(read.header.deadline <= read.header.absolute);
                    assert!(provider.touch(&id(0), &read, lifetime).await.unwrap());
                    provider
                        .write(&id(0), &next(&read, 1), Condition::Over(read.stamp()), lifetime)
                        .await
                        .unwrap();
                }
                provider.destroy(&id(0), None).await.unwrap();
                provider.gc(10).await.unwrap();
            }
        }
    }
}
