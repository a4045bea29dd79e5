//! Timeouts and deadlocks of this server, and the faults that all servers share.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::Duration;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use sqlx::{Connection, PgConnection};
use support::*;
use tokio::time::sleep;

session_sql_tests::faults!(Postgres);

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_statement_timeout_is_unavailable_and_the_connection_stays_usable() {
    let (url, _) = start("statement_timeout").await;
    let sessions = connect(&format!(
        "{url}%20-c%20statement_timeout%3D200ms%20-c%20lock_timeout%3D0&application_name=timed"
    ))
    .await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let mut lock = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let connections = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'timed'";
    let outcome =
        sessions.write(&id("a"), &changed(&first, "b"), Condition::Over(first.stamp()), MINUTE).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("statement_timeout"), "{error}");
    assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a", "nothing was half done");
    assert_eq!(ask(&url, connections).await, ["1"]);
}

/// Waits until a statement waits for a lock.
async fn until_somebody_waits(url: &str) {
    let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while ask(url, waiting).await == ["0"] {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_deadlock_is_retried_internally() {
    let (server, sessions) = start_private(&["deadlock_timeout=1s"]).await;
    let url = server.url();
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    // The other transaction inserts a row `b` and then locks `a`; the provider's rename of `a` to
    // `b` locks `a`, waits for the other's `b`, and detects the deadlock first.
    let mut other = PgConnection::connect(&url).await.unwrap();
    let make_b = "SET deadlock_timeout = '1min'; BEGIN; \
                  INSERT INTO session (session_key, session_expiry) VALUES ('b', now())";
    sqlx::raw_sql(make_b).execute(&mut other).await.unwrap();
    let cross = async {
        until_somebody_waits(&url).await;
        let lock_a = "SELECT FROM session WHERE session_key = 'a' FOR UPDATE; ROLLBACK";
        sqlx::raw_sql(lock_a).execute(&mut other).await.unwrap();
    };
    let moved = Move::new(&id("a"), &id("b"), &first);
    let rename = moved.as_rename();
    let ((), outcome) = tokio::join!(cross, sessions.rename(&rename));
    assert!(is_stored(&outcome.unwrap()));
    assert!(sessions.exists(&id("b")).await.unwrap());
    assert!(server.process().log().contains("deadlock detected"), "the test made one");
}
