//! What only this engine does: the row that moves, and what lies in its columns.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Clock, Condition, DestroyOutcome, ErrorKind, ManualClock, Owner, Provider, State, StorageId, Timestamp,
};
use session_mysql::MySql;
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
    assert_eq!(
        ask(&url, "SELECT CAST(COUNT(*) AS CHAR) FROM moved_row").await,
        ["1"],
        "one row, before and after"
    );

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
    let without = sessions.destroy(&old, None).await.unwrap();
    assert!(matches!(without, DestroyOutcome::Moved(to) if to == new), "a logout with the old id follows it");
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
    sql(&url, "UPDATE old_id SET moved_at = moved_at - 61000").await;
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
    sql(&url, "UPDATE expired SET session_expiry = 1000").await;
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
    let second = session_core::Record::new(second, first.body.clone());
    assert!(is_stored(&replace(&sessions, &hashed(1), &first, &second).await));
    assert_eq!(ask(&url, owned).await, ["0"]);
    assert_eq!(ask(&url, "SELECT session_key FROM touch").await, [hashed(1).to_text()]);
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

/// Puts so many sessions there that have expired.
async fn expire(url: &str, table: &str, count: usize) {
    let rows: Vec<String> = (0..count).map(|row| format!("('old{row}', 1000)")).collect();
    let insert = format!("INSERT INTO {table} (session_key, session_expiry) VALUES {}", rows.join(","));
    sql(url, &insert).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn gc_removes_what_has_expired_in_small_statements() {
    let (url, sessions) = start("gc_batches").await;
    create(&sessions, &id("live"), &record("a")).await;
    expire(&url, "gc_batches", 1300).await;
    assert_eq!(sessions.gc(7).await.unwrap(), 7);
    assert_eq!(sessions.gc(1200).await.unwrap(), 1200);
    assert_eq!(sessions.gc(1200).await.unwrap(), 93);
    assert_eq!(sessions.gc(1200).await.unwrap(), 0);
    assert!(sessions.exists(&id("live")).await.unwrap());
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
    removed += sessions.gc(5000).await.unwrap();
    assert_eq!(removed, 5000);
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
    sql(&url, "UPDATE revive SET session_expiry = 1000, previous_key = 'before', moved_at = 4000000000000")
        .await;
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
    assert!(matches!(sessions.destroy(&id("before"), None).await.unwrap(), DestroyOutcome::Absent));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_above_max_allowed_packet_is_too_large_and_the_old_one_is_kept() {
    let (server, _) = start_private(&["--max-allowed-packet=1M"]).await;
    let connected = connect(&server.url()).await;
    let lazy = MySql::connect_lazy(server.url().parse().unwrap());
    let first = record("a");
    create(&connected, &id("a"), &first).await;
    let most = connected.capabilities().max_record_bytes.unwrap();
    for sessions in [&connected, &lazy] {
        let over = Condition::Over(first.stamp());
        let huge = changed(&first, &"x".repeat(1 << 20));
        let error = sessions.write(&id("a"), &huge, over, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains("max_allowed_packet"), "{error}");
        assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a");
    }
    let fits = changed(&first, &"x".repeat(most - 300));
    assert!(fits.encode().unwrap().len() <= most);
    assert!(is_stored(&replace(&connected, &id("a"), &first, &fits).await), "what is promised fits");
    assert_eq!(connected.read(&id("a"), MINUTE).await.unwrap().unwrap().body, fits.body);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_of_several_packets_is_stored_and_read() {
    let (server, sessions) = start_private(&["--max-allowed-packet=64M"]).await;
    let large = record(&"x".repeat(20 << 20));
    create(&sessions, &id("a"), &large).await;
    assert_eq!(sessions.read(&id("a"), MINUTE).await.unwrap().unwrap().body, large.body);
    drop(server);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_time_zone_of_the_connection_changes_nothing() {
    let (url, sessions) = start("zones").await;
    let options: session_mysql::MySqlConnectOptions = compose_address().parse().unwrap();
    let pool =
        session_mysql::MySqlPool::connect_with(options.timezone(Some("+09:00".to_owned()))).await.unwrap();
    let tokyo = MySql::with_pool(pool, "zones").unwrap();
    let first = record("a");
    create(&tokyo, &id("a"), &first).await;
    for there in [&sessions, &tokyo] {
        let left = there.read(&id("a"), MINUTE).await.unwrap().unwrap().header.deadline;
        let left = left.since(session_core::SystemClock.now());
        assert!(left <= MINUTE && left > Duration::from_secs(50), "{left:?}");
    }
    drop(url);
}

fn compose_address() -> String {
    session_servers::compose::MYSQL.address()
}
