//! Deadlines, by the clock of the server.

use std::sync::Arc;
use std::time::Duration;

use session_core::Provider;
use session_core::clock::{Clock, ManualClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome};

use crate::records::{
    DAY, MINUTE, Move, changed, create, found, hashed, id, is_stored, record, replace, value,
};
use crate::{Engine, Table};

pub async fn expiry_follows_the_servers_clock_and_is_reported_in_the_callers<E: Engine>() {
    let (table, _) = Table::<E>::start("clocks").await;
    // An application whose clock is a year behind the server's.
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let sessions = E::with_clock(table.connect(&[]).await, Arc::new(clock.clone()));
    let mut first = record("a");
    first.header.absolute = clock.now().after(DAY);
    create(&sessions, &id("a"), &first).await;
    let left = sessions.read(&id("a"), MINUTE).await.unwrap().unwrap().header.deadline.since(clock.now());
    assert!(left <= MINUTE && left > Duration::from_secs(55), "{left:?}");

    assert!(sessions.touch(&id("a"), &first, 48 * 60 * MINUTE).await.unwrap());
    let left = sessions.read(&id("a"), MINUTE).await.unwrap().unwrap().header.deadline.since(clock.now());
    assert!(left <= DAY && left + MINUTE > DAY, "a touch ends at the absolute deadline: {left:?}");

    first.header.absolute = Timestamp::MAX;
    sessions.write(&id("for-ever"), &first, Condition::Absent, Duration::MAX).await.unwrap();
    let left =
        sessions.read(&id("for-ever"), MINUTE).await.unwrap().unwrap().header.deadline.since(clock.now());
    assert!(left > 90 * 365 * DAY, "{left:?}");
}

pub async fn an_expired_row_is_absent_for_every_method_and_gives_way_to_a_new_session<E: Engine>() {
    let (table, sessions) = Table::<E>::start("expired").await;
    let first = record("a");
    for name in ["a", "b", "c"] {
        create(&sessions, &id(name), &first).await;
    }
    let (name, past) = (table.name(), E::DIALECT.past);
    table.sql(&format!("UPDATE {name} SET session_expiry = {past}, collect_after = {past}")).await;
    assert!(sessions.read(&id("a"), MINUTE).await.unwrap().is_none());
    assert!(!sessions.exists(&id("a")).await.unwrap());
    assert!(!sessions.touch(&id("a"), &first, MINUTE).await.unwrap());
    assert!(found(replace(&sessions, &id("a"), &first, &changed(&first, "b")).await).is_none());
    let moved = Move::new(&id("a"), &id("z"), &first);
    assert!(found(sessions.rename(&moved.as_rename()).await.unwrap()).is_none());
    assert!(matches!(sessions.destroy(&id("a"), Some(first.stamp())).await.unwrap(), DestroyOutcome::Absent));
    assert!(matches!(sessions.destroy(&id("b"), None).await.unwrap(), DestroyOutcome::Absent));
    assert_eq!(sessions.count().await.unwrap(), Some(0));
    assert!(is_stored(&create(&sessions, &id("c"), &record("new")).await));
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(sessions.gc(10).await.unwrap(), 2);
    assert_eq!(sessions.gc(10).await.unwrap(), 0);
    assert_eq!(value(&sessions.read(&id("c"), MINUTE).await.unwrap().unwrap()), "new");
}

/// As written by an older version of the application, or by hand.
pub async fn a_row_without_a_rounded_deadline_is_counted_and_collected_after_its_end<E: Engine>() {
    let (table, sessions) = Table::<E>::start("not_rounded").await;
    let (name, past, future) = (table.name(), E::DIALECT.past, E::DIALECT.future);
    let insert = format!("INSERT INTO {name} (session_key, session_expiry) VALUES ('live', {future})");
    table.sql(&insert).await;
    assert_eq!((sessions.gc(10).await.unwrap(), sessions.count().await.unwrap()), (0, Some(1)));
    table.sql(&format!("UPDATE {name} SET session_expiry = {past}")).await;
    assert_eq!((sessions.count().await.unwrap(), sessions.gc(10).await.unwrap()), (Some(0), 1));
}

pub async fn a_create_over_an_expired_row_stores_once<E: Engine>() {
    let (table, sessions) = Table::<E>::start("revive").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        create(&*sessions, &hashed(round), &record("old")).await;
    }
    let (name, past) = (table.name(), E::DIALECT.past);
    table.sql(&format!("UPDATE {name} SET session_expiry = {past}, moved = TRUE")).await;
    for round in 0..20 {
        let creators = (0..4).map(|_| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { is_stored(&create(&*sessions, &hashed(round), &record("new")).await) })
        });
        let mut stored = 0;
        for creator in creators.collect::<Vec<_>>() {
            stored += usize::from(creator.await.unwrap());
        }
        assert_eq!(stored, 1);
        assert_eq!(value(&sessions.read(&hashed(round), MINUTE).await.unwrap().unwrap()), "new");
    }
    assert_eq!(sessions.count().await.unwrap(), Some(20));
}
