//! What is specific to this engine: renames in one row, and the contents of the columns.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::accounts::Owner;
use session_core::clock::{Clock, ManualClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use session_mysql::MySqlProvider;
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
    let tombstone = "SELECT CONCAT(session_expiry - UNIX_TIMESTAMP(NOW(3)) * 1000 BETWEEN 50000 AND 60000, \
                     LENGTH(session_data) < 200) FROM renamed WHERE moved";
    assert_eq!(ask(&url, tombstone).await, ["11"]);
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
async fn expiry_follows_the_servers_clock_and_is_reported_by_the_callers() {
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
    sql(&url, "UPDATE expired SET session_expiry = 1000, collect_after = 1023").await;
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
    let rest =
        "SELECT CONCAT(session_key, HEX(session_data), session_absolute, version, HEX(owner)) FROM touch";
    let before = ask(&url, rest).await;
    assert!(sessions.touch(&hashed(1), &first, 2 * MINUTE).await.unwrap());
    assert_eq!(ask(&url, rest).await, before);
    let owned = "SELECT CAST(COUNT(*) AS CHAR) FROM touch WHERE owner = UNHEX(SHA2('ada', 256))";
    assert_eq!(ask(&url, owned).await, ["1"]);

    let mut second = first.header.next();
    second.owner = None;
    let second = session_core::record::Record::new(second, first.body.clone());
    assert!(is_stored(&replace(&sessions, &hashed(1), &first, &second).await));
    assert_eq!(ask(&url, owned).await, ["0"]);
    assert_eq!(ask(&url, "SELECT session_key FROM touch").await, [hashed(1).to_text()]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn plain_ids_are_the_key_and_longer_ones_are_hashed() {
    let (url, sessions) = start("long_ids").await;
    let longest = id(&"x".repeat(64));
    let longer: StorageId = id(&"x".repeat(65));
    create(&sessions, &longest, &record("fits")).await;
    create(&sessions, &longer, &record("does not")).await;
    assert_eq!(value(&sessions.read(&longest, MINUTE).await.unwrap().unwrap()), "fits");
    assert_eq!(value(&sessions.read(&longer, MINUTE).await.unwrap().unwrap()), "does not");
    let keys = ask(&url, "SELECT session_key FROM long_ids").await;
    assert!(keys.contains(&"x".repeat(64)) && keys.iter().all(|key| key.len() == 64), "{keys:?}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_unreadable_row_is_corrupt_and_can_be_destroyed() {
    let (url, sessions) = start("corrupt").await;
    for (name, data) in [("gob", "x'0dff81040102'"), ("empty", "''"), ("null", "NULL")] {
        sql(
            &url,
            &format!(
                "INSERT INTO corrupt (session_key, session_data, session_expiry) \
                 VALUES ('{name}', {data}, 4000000000000)"
            ),
        )
        .await;
        let error = sessions.read(&id(name), MINUTE).await.unwrap_err();
        assert_eq!((error.kind(), error.engine()), (ErrorKind::Corrupt, Some("mysql")), "{name}");
        assert!(
            matches!(sessions.destroy(&id(name), None).await.unwrap(), DestroyOutcome::Destroyed),
            "{name}"
        );
    }
}

/// Inserts this number of expired sessions.
async fn expire(url: &str, table: &str, count: usize) {
    let rows: Vec<String> = (0..count).map(|row| format!("('old{row}', 1000)")).collect();
    let insert = format!("INSERT INTO {table} (session_key, session_expiry) VALUES {}", rows.join(","));
    sql(url, &insert).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn gc_removes_expired_rows_in_small_statements() {
    let (url, sessions) = start("gc_batches").await;
    create(&sessions, &id("live"), &record("a")).await;
    expire(&url, "gc_batches", 1300).await;
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

/// The index by which expired rows are found is on `collect_after`.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn most_writes_do_not_change_the_index_for_collecting() {
    let (url, sessions) = start("index_alone").await;
    let ends = "SELECT CONCAT_WS(' ', session_expiry, collect_after) FROM index_alone";
    let mut current = record("0");
    create(&sessions, &hashed(1), &current).await;
    let mut seen = ask(&url, ends).await;
    for write in 1..=20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        if write % 2 == 0 {
            assert!(sessions.touch(&hashed(1), &current, MINUTE).await.unwrap());
        } else {
            let next = changed(&current, &write.to_string());
            assert!(is_stored(&replace(&sessions, &hashed(1), &current, &next).await));
            current = next;
        }
        seen.extend(ask(&url, ends).await);
    }
    let (mut expiries, mut marks) = (HashSet::new(), HashSet::new());
    for row in seen {
        let (expiry, mark) = row.split_once(' ').unwrap();
        let (expiry, mark): (u64, u64) = (expiry.parse().unwrap(), mark.parse().unwrap());
        assert!((expiry..expiry + 2_048).contains(&mark), "{expiry} is rounded up to {mark}");
        expiries.insert(expiry);
        marks.insert(mark);
    }
    assert_eq!(expiries.len(), 21, "every write moves the deadline");
    assert!(marks.len() <= 2, "{marks:?}");
}

/// As written by an older version of the application, or by hand.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_row_without_a_rounded_deadline_is_counted_and_collected_after_its_end() {
    let (url, sessions) = start("not_rounded").await;
    let insert = "INSERT INTO not_rounded (session_key, session_expiry) VALUES ('live', 4000000000000)";
    sql(&url, insert).await;
    assert_eq!((sessions.gc(10).await.unwrap(), sessions.count().await.unwrap()), (0, Some(1)));
    sql(&url, "UPDATE not_rounded SET session_expiry = 1000").await;
    assert_eq!((sessions.count().await.unwrap(), sessions.gc(10).await.unwrap()), (Some(0), 1));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn collectors_at_once_count_no_row_twice() {
    let (url, sessions) = start("gc_at_once").await;
    expire(&url, "gc_at_once", 5000).await;
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

/// A rename to a taken id changes nothing, even on a server without strict mode.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_rename_to_a_taken_id_is_undone_in_every_sql_mode() {
    for mode in ["--sql-mode=", "--sql-mode=TRADITIONAL", "--sql-mode=NO_UNSIGNED_SUBTRACTION,ANSI"] {
        let (server, sessions) = start_private(&[mode]).await;
        let (mine, theirs) = (record("mine"), record("theirs"));
        create(&sessions, &id("old"), &mine).await;
        create(&sessions, &id("taken"), &theirs).await;
        let moved = Move::new(&id("old"), &id("taken"), &mine);
        assert!(found(sessions.rename(&moved.as_rename()).await.unwrap()).is_none(), "{mode}");
        assert_eq!(sessions.read(&id("old"), MINUTE).await.unwrap().unwrap().stamp(), mine.stamp());
        assert_eq!(sessions.read(&id("taken"), MINUTE).await.unwrap().unwrap().stamp(), theirs.stamp());
        let moved = Move::new(&id("old"), &id("free"), &mine);
        assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()), "{mode}");
        drop(server);
    }
}

/// Their locks collide in an empty table; a statement that the server rolls back is retried.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn renames_at_once_all_succeed() {
    let (_, sessions) = start("renames").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        let renames = (0..16).map(|number| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                let (old, new) = (hashed(round * 100 + number), hashed(round * 100 + number + 50));
                let first = record("a");
                create(&*sessions, &old, &first).await;
                let moved = Move::new(&old, &new, &first);
                assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
                let outcome = sessions.destroy(&new, Some(moved.record.stamp())).await.unwrap();
                assert!(matches!(outcome, DestroyOutcome::Destroyed));
            })
        });
        for rename in renames.collect::<Vec<_>>() {
            rename.await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn of_writers_at_once_one_wins_and_none_fails() {
    let (_, sessions) = start("writers").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        let first = record("0");
        create(&*sessions, &hashed(round), &first).await;
        let writers = (0..8).map(|writer| {
            let (sessions, first) = (Arc::clone(&sessions), first.clone());
            tokio::spawn(async move {
                let mine = changed(&first, &writer.to_string());
                is_stored(&replace(&*sessions, &hashed(round), &first, &mine).await)
            })
        });
        let mut stored = 0;
        for writer in writers.collect::<Vec<_>>() {
            stored += usize::from(writer.await.unwrap());
        }
        assert_eq!(stored, 1);
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_create_over_an_expired_row_stores_once() {
    let (url, sessions) = start("revive").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        create(&*sessions, &hashed(round), &record("old")).await;
    }
    sql(&url, "UPDATE revive SET session_expiry = 1000, moved = TRUE").await;
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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_above_max_allowed_packet_is_too_large_and_the_old_one_is_kept() {
    let (server, _) = start_private(&["--max-allowed-packet=1M"]).await;
    let connected = connect(&server.url()).await;
    let lazy = MySqlProvider::connect_lazy(server.url().parse().unwrap());
    let first = record("a");
    create(&connected, &id("a"), &first).await;
    for sessions in [&connected, &lazy] {
        let over = Condition::Over(first.stamp());
        let huge = changed(&first, &"x".repeat(1 << 20));
        let error = sessions.write(&id("a"), &huge, over, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains("max_allowed_packet"), "{error}");
        assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a");
    }
    let fits = changed(&first, &"x".repeat((1 << 20) - 1024 - 160));
    assert!(fits.encode().unwrap().len() > (1 << 20) - 1024 - 20, "the largest that is let through");
    assert!(is_stored(&replace(&connected, &id("a"), &first, &fits).await));
    assert_eq!(connected.read(&id("a"), MINUTE).await.unwrap().unwrap().body, fits.body);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_of_several_packets_is_stored_and_read() {
    let (server, sessions) = start_private(&["--max-allowed-packet=64M"]).await;
    let large = record(&"x".repeat(20 << 20));
    create(&sessions, &id("a"), &large).await;
    assert_eq!(sessions.read(&id("a"), MINUTE).await.unwrap().unwrap().body, large.body);
    let moved = Move::new(&id("a"), &id("b"), &large);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    assert_eq!(sessions.read(&id("b"), MINUTE).await.unwrap().unwrap().body, large.body);
    drop(server);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_time_zone_of_the_connection_changes_nothing() {
    let (url, sessions) = start("zones").await;
    let options: session_mysql::MySqlConnectOptions = compose_address().parse().unwrap();
    let pool =
        session_mysql::MySqlPool::connect_with(options.timezone(Some("+09:00".to_owned()))).await.unwrap();
    let tokyo = MySqlProvider::with_pool(pool, "zones").unwrap();
    let first = record("a");
    create(&tokyo, &id("a"), &first).await;
    for there in [&sessions, &tokyo] {
        let left = there.read(&id("a"), MINUTE).await.unwrap().unwrap().header.deadline;
        let left = left.since(session_core::clock::SystemClock.now());
        assert!(left <= MINUTE && left > Duration::from_secs(50), "{left:?}");
    }
    drop(url);
}

fn compose_address() -> String {
    session_servers::compose::MYSQL.address()
}
