//! What only this engine does: the row that moves, and what lies in its columns.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Clock, Condition, DestroyOutcome, ErrorKind, ManualClock, Owner, Provider, State, StorageId, Timestamp,
};
use support::*;

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_renamed_row_shows_as_a_tombstone_to_writers_only() {
    let (url, sessions) = start("moved_row").await;
    let (old, new) = (hashed(1), hashed(2));
    let first = record("a");
    create(&sessions, &old, &first).await;
    let moved = Move::new(&old, &new, &first);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    assert_eq!(ask(&url, "SELECT count(*)::text FROM session").await, ["1"], "one row, before and after");

    assert!(sessions.read(&old, MINUTE).await.unwrap().is_none());
    assert!(!sessions.exists(&old).await.unwrap());
    assert_eq!(value(&sessions.read(&new, MINUTE).await.unwrap().unwrap()), "a");

    let late = changed(&first, "late");
    let current = found(replace(&sessions, &old, &first, &late).await).unwrap();
    assert_eq!(current.header.state, State::Moved(new.clone()), "the late writer learns where it went");
    assert!(current.header.has_version(first.header.version()), "and what was stored before it went");
    assert!(current.body.is_empty());
    assert!(!sessions.touch(&old, &first, MINUTE).await.unwrap());

    let with_stamp = sessions.destroy(&old, Some(first.stamp())).await.unwrap();
    assert!(matches!(with_stamp, DestroyOutcome::Moved(to) if to == new));
    assert!(matches!(sessions.destroy(&old, None).await.unwrap(), DestroyOutcome::Destroyed));
    assert!(
        sessions.read(&new, MINUTE).await.unwrap().is_none(),
        "a logout with the old id ends the session"
    );
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_rename_is_idempotent_and_loses_against_a_write() {
    let (_, sessions) = start("rename_twice").await;
    let (old, new) = (id("old"), id("new"));
    let first = record("a");
    create(&sessions, &old, &first).await;
    let moved = Move::new(&old, &new, &first);
    for _ in 0..3 {
        assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    }
    let later = changed(&moved.record, "b");
    assert!(is_stored(&replace(&sessions, &new, &moved.record, &later).await));
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()), "also after a later write");

    let stale = Move::new(&new, &id("other"), &moved.record);
    let current = found(sessions.rename(&stale.as_rename()).await.unwrap()).unwrap();
    assert_eq!(current.header.version(), later.header.version());
    assert!(sessions.read(&id("other"), MINUTE).await.unwrap().is_none());

    let foreign = record("theirs");
    create(&sessions, &id("taken"), &foreign).await;
    let onto = Move::new(&new, &id("taken"), &later);
    assert!(found(sessions.rename(&onto.as_rename()).await.unwrap()).is_none());
    assert_eq!(value(&sessions.read(&id("taken"), MINUTE).await.unwrap().unwrap()), "theirs");
    assert_eq!(value(&sessions.read(&new, MINUTE).await.unwrap().unwrap()), "b");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_old_id_is_forgotten_after_a_minute() {
    let (url, sessions) = start("old_id").await;
    let first = record("a");
    create(&sessions, &id("old"), &first).await;
    let moved = Move::new(&id("old"), &id("new"), &first);
    sessions.rename(&moved.as_rename()).await.unwrap();
    sql(&url, "UPDATE session SET moved_at = moved_at - interval '61 seconds'").await;
    assert!(found(replace(&sessions, &id("old"), &first, &changed(&first, "late")).await).is_none());
    assert!(matches!(sessions.destroy(&id("old"), None).await.unwrap(), DestroyOutcome::Absent));
    assert!(sessions.exists(&id("new")).await.unwrap());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_logout_and_a_rename_at_once_leave_nothing_behind() {
    let (_, sessions) = start("logout_and_rename").await;
    let sessions = Arc::new(sessions);
    for round in 0..200 {
        let (old, new) = (hashed(round), hashed(round + 1_000_000));
        let first = record("a");
        create(&*sessions, &old, &first).await;
        let moved = Move::new(&old, &new, &first);
        let (there, ended) = (Arc::clone(&sessions), Arc::clone(&sessions));
        let rename = tokio::spawn(async move { there.rename(&moved.as_rename()).await.unwrap() });
        let logout = tokio::spawn(async move { ended.destroy(&old, None).await.unwrap() });
        rename.await.unwrap();
        assert!(matches!(logout.await.unwrap(), DestroyOutcome::Destroyed), "round {round}");
        assert!(sessions.read(&new, MINUTE).await.unwrap().is_none(), "round {round}");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_tombstone_that_was_written_is_kept_and_followed() {
    let (_, sessions) = start("tombstone").await;
    let first = record("a");
    create(&sessions, &id("old"), &first).await;
    for to in [id("new"), hashed(5)] {
        let current = sessions.read(&id("old"), MINUTE).await.unwrap().unwrap();
        let tombstone = tombstone(&current, &to);
        assert!(is_stored(&replace(&sessions, &id("old"), &current, &tombstone).await));
        for expected in [None, Some(tombstone.stamp())] {
            let outcome = sessions.destroy(&id("old"), expected).await.unwrap();
            assert!(matches!(outcome, DestroyOutcome::Moved(there) if there == to));
        }
        assert!(!sessions.exists(&id("old")).await.unwrap());
        assert!(!sessions.touch(&id("old"), &tombstone, MINUTE).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn expiry_is_the_servers_and_is_told_by_the_callers_clock() {
    let (url, _) = start("clocks").await;
    // An application whose clock is a year behind the server's.
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let sessions = connect(&url).await.clock(Arc::new(clock.clone()));
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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_expired_row_is_absent_for_every_method_and_gives_way_to_a_new_session() {
    let (url, sessions) = start("expired").await;
    let first = record("a");
    for name in ["a", "b", "c"] {
        create(&sessions, &id(name), &first).await;
    }
    sql(&url, "UPDATE session SET session_expiry = now() - interval '1 second'").await;
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
    assert_eq!(sessions.gc(10).await.unwrap(), 1, "`b` went with its logout");
    assert_eq!(sessions.gc(10).await.unwrap(), 0);
    assert_eq!(value(&sessions.read(&id("c"), MINUTE).await.unwrap().unwrap()), "new");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_touch_writes_the_deadline_only_and_the_owner_has_a_column() {
    let (url, sessions) = start("touch").await;
    let mut first = record("a");
    first.header.owner = Some(Owner::of("ada"));
    create(&sessions, &hashed(1), &first).await;
    let rest = "SELECT (session_key, session_data, session_absolute, version, owner)::text FROM session";
    let before = ask(&url, rest).await;
    assert!(sessions.touch(&hashed(1), &first, 2 * MINUTE).await.unwrap());
    assert_eq!(ask(&url, rest).await, before);
    let owned = "SELECT count(*)::text FROM session WHERE owner = sha256('ada')";
    assert_eq!(ask(&url, owned).await, ["1"]);

    let mut second = first.header.next();
    second.owner = None;
    let second = session_core::Record::new(second, first.body.clone());
    assert!(is_stored(&replace(&sessions, &hashed(1), &first, &second).await));
    assert_eq!(ask(&url, owned).await, ["0"]);
    assert_eq!(ask(&url, "SELECT session_key::text FROM session").await, [hashed(1).to_text()]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn ids_that_do_not_fit_the_column_are_a_config_error() {
    let (_, sessions) = start("long_ids").await;
    let longest = id(&"x".repeat(64));
    assert!(is_stored(&create(&sessions, &longest, &record("a")).await));
    assert!(sessions.exists(&longest).await.unwrap());
    let longer: StorageId = id(&"x".repeat(65));
    assert_eq!(sessions.read(&longer, MINUTE).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn what_is_no_record_is_corrupt_and_can_be_destroyed() {
    let (url, sessions) = start("corrupt").await;
    for (name, data) in [("gob", r"'\x0dff81040102'"), ("empty", "''"), ("null", "NULL")] {
        sql(
            &url,
            &format!(
                "INSERT INTO session (session_key, session_data, session_expiry) \
                 VALUES ('{name}', {data}, now() + interval '1 minute')"
            ),
        )
        .await;
        let error = sessions.read(&id(name), MINUTE).await.unwrap_err();
        assert_eq!((error.kind(), error.engine()), (ErrorKind::Corrupt, Some("postgresql")), "{name}");
        assert!(
            matches!(sessions.destroy(&id(name), None).await.unwrap(), DestroyOutcome::Destroyed),
            "{name}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn gc_removes_what_has_expired_in_small_statements() {
    let (url, sessions) = start("gc_batches").await;
    create(&sessions, &id("live"), &record("a")).await;
    sql(
        &url,
        "INSERT INTO session (session_key, session_expiry) \
         SELECT 'old' || n, now() - interval '1 second' FROM generate_series(1, 1300) n",
    )
    .await;
    assert_eq!(sessions.gc(7).await.unwrap(), 7);
    assert_eq!(sessions.gc(1200).await.unwrap(), 1200);
    assert_eq!(sessions.gc(1200).await.unwrap(), 93);
    assert_eq!(sessions.gc(1200).await.unwrap(), 0);
    assert!(sessions.exists(&id("live")).await.unwrap());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn two_collectors_at_once_do_not_wait_for_each_other_nor_count_a_row_twice() {
    let (url, sessions) = start("gc_at_once").await;
    sql(
        &url,
        "INSERT INTO session (session_key, session_expiry) \
         SELECT 'old' || n, now() - interval '1 second' FROM generate_series(1, 5000) n",
    )
    .await;
    let sessions = Arc::new(sessions);
    let collectors = (0..4).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.gc(5000).await.unwrap() })
    });
    let mut removed = 0;
    for collector in collectors.collect::<Vec<_>>() {
        removed += collector.await.unwrap();
    }
    removed += sessions.gc(5000).await.unwrap();
    assert_eq!(removed, 5000);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn serialization_failures_are_tried_again_inside() {
    let (url, _) = start("serializable").await;
    let strict =
        Arc::new(connect(&format!("{url}%20-c%20default_transaction_isolation%3Dserializable")).await);
    let first = record("0");
    create(&*strict, &id("a"), &first).await;
    let writers = (0..8).map(|writer| {
        let (strict, first) = (Arc::clone(&strict), first.clone());
        tokio::spawn(async move {
            let mine = changed(&first, &writer.to_string());
            is_stored(&replace(&*strict, &id("a"), &first, &mine).await)
        })
    });
    let mut stored = 0;
    for writer in writers.collect::<Vec<_>>() {
        stored += usize::from(writer.await.unwrap());
    }
    assert_eq!(stored, 1, "one wins, the others are refused and none of them fails");
}
