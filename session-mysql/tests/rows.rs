//! SQL modes, packets and time zones, beside the rows and columns that are the same on all servers.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::collections::HashSet;
use std::time::Duration;

use session_core::clock::Clock;
use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use session_mysql::MySqlProvider;
use support::*;

session_sql_tests::rows!(MySql);

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
