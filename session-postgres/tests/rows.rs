//! Specific to this engine: the row left by a rename, and the contents of the columns.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::clock::{Clock, ManualClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use support::*;

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_rename_leaves_a_small_row_for_a_minute() {
    let (url, sessions) = start("renamed").await;
    let (old, new) = (hashed(1), hashed(2));
    let mut first = record(&"a".repeat(10_000));
    first.header.owner = Some(Owner::of("ada"));
    create(&sessions, &old, &first).await;
    let moved = Move::new(&old, &new, &first);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    let tombstone = "SELECT (session_expiry - now() BETWEEN interval '50 s' AND interval '60 s')::text || \
                     (length(session_data) < 200) FROM session WHERE moved";
    assert_eq!(ask(&url, tombstone).await, ["truetrue"]);
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(sessions.read(&new, MINUTE).await.unwrap().unwrap().body, first.body);
    assert_eq!(sessions.read(&new, MINUTE).await.unwrap().unwrap().header.owner, first.header.owner);
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
        let logout = tokio::spawn(async move {
            match ended.destroy(&old, None).await.unwrap() {
                DestroyOutcome::Moved(to) => ended.destroy(&to, None).await.unwrap(),
                outcome => outcome,
            }
        });
        rename.await.unwrap();
        assert!(matches!(logout.await.unwrap(), DestroyOutcome::Destroyed), "round {round}");
        assert!(sessions.read(&new, MINUTE).await.unwrap().is_none(), "round {round}");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn expiry_follows_the_servers_clock_and_is_reported_in_the_callers() {
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
    sql(&url, "UPDATE session SET session_expiry = '2020-01-01Z', collect_after = '2020-01-01Z'").await;
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
    let second = session_core::record::Record::new(second, first.body.clone());
    assert!(is_stored(&replace(&sessions, &hashed(1), &first, &second).await));
    assert_eq!(ask(&url, owned).await, ["0"]);
    assert_eq!(ask(&url, "SELECT session_key::text FROM session").await, [hashed(1).to_text()]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn raw_ids_are_the_key_and_longer_ones_are_hashed() {
    let (url, sessions) = start("long_ids").await;
    let longest = id(&"x".repeat(64));
    let longer: StorageId = id(&"x".repeat(65));
    create(&sessions, &longest, &record("fits")).await;
    create(&sessions, &longer, &record("does not")).await;
    assert_eq!(value(&sessions.read(&longest, MINUTE).await.unwrap().unwrap()), "fits");
    assert_eq!(value(&sessions.read(&longer, MINUTE).await.unwrap().unwrap()), "does not");
    let keys = ask(&url, "SELECT session_key::text FROM session").await;
    assert!(keys.contains(&"x".repeat(64)) && keys.iter().all(|key| key.len() == 64), "{keys:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_invalid_record_is_corrupt_and_can_be_destroyed() {
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
async fn gc_removes_expired_rows_in_small_statements() {
    let (url, sessions) = start("gc_batches").await;
    create(&sessions, &id("live"), &record("a")).await;
    sql(
        &url,
        "INSERT INTO session (session_key, session_expiry) \
         SELECT 'old' || n, now() - interval '1 second' FROM generate_series(1, 1300) n",
    )
    .await;
    assert_eq!(sessions.gc(7).await.unwrap(), 7);
    // On a busy machine a call ends at its own deadline, and the next one goes on.
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(sessions.gc(1200).await.unwrap());
    }
    assert!(removed.iter().all(|removed| *removed <= 1200), "{removed:?}");
    assert_eq!(removed.iter().sum::<usize>(), 1293);
    assert!(sessions.exists(&id("live")).await.unwrap());
}

/// Expired rows are found by the index on `collect_after`.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn most_writes_leave_the_indexes_alone() {
    let (url, sessions) = start("indexes_alone").await;
    let rounded = "SELECT concat_ws(' ', session_expiry, collect_after, \
                   collect_after - session_expiry BETWEEN interval '0 s' AND interval '2048 ms') FROM session";
    let mut current = record("0");
    create(&sessions, &hashed(1), &current).await;
    let mut seen = ask(&url, rounded).await;
    for write in 1..=20 {
        if write % 2 == 0 {
            assert!(sessions.touch(&hashed(1), &current, MINUTE).await.unwrap());
        } else {
            let next = changed(&current, &write.to_string());
            assert!(is_stored(&replace(&sessions, &hashed(1), &current, &next).await));
            current = next;
        }
        seen.extend(ask(&url, rounded).await);
    }
    let expiries: HashSet<_> = seen.iter().map(|row| row.split('+').next()).collect();
    let marks: HashSet<_> = seen.iter().map(|row| row.split('+').nth(1)).collect();
    assert_eq!(expiries.len(), 21, "every write moves the deadline: {seen:?}");
    assert!(marks.len() <= 2 && seen.iter().all(|row| row.ends_with(" t")), "{seen:?}");
    // A connection reports its statistics on its next use, at most once a second.
    let hot = async || {
        sessions.read(&hashed(1), MINUTE).await.unwrap();
        let updates = "SELECT (n_tup_upd = 20 AND n_tup_hot_upd >= 18)::text FROM pg_stat_user_tables \
                       WHERE schemaname = current_schema() AND relname = 'session'";
        ask(&url, updates).await == ["true"]
    };
    session_conformance::eventually("the statistics show HOT updates", hot).await;
}

/// As written by a version without the column, or by hand.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_row_whose_end_was_not_rounded_is_counted_and_collected_when_it_has_ended() {
    let (url, sessions) = start("not_rounded").await;
    sql(&url, "INSERT INTO session (session_key, session_expiry) VALUES ('live', '2100-01-01Z')").await;
    assert_eq!((sessions.gc(10).await.unwrap(), sessions.count().await.unwrap()), (0, Some(1)));
    sql(&url, "UPDATE session SET session_expiry = '2020-01-01Z'").await;
    assert_eq!((sessions.count().await.unwrap(), sessions.gc(10).await.unwrap()), (Some(0), 1));
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
    // On a busy machine a call ends at its own deadline, and the next one goes on.
    loop {
        match sessions.gc(5000).await.unwrap() {
            0 => break,
            more => removed += more,
        }
    }
    assert_eq!(removed, 5000);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn serialization_failures_are_retried_internally() {
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
