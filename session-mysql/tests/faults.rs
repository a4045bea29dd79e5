//! Timeouts and deadlocks of this server, and the faults that all servers share.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::time::Duration;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use sqlx::{Connection, MySqlConnection};
use support::*;
use tokio::time::sleep;

session_sql_tests::faults!(MySql);

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_lock_held_too_long_is_unavailable_and_the_connection_is_reused() {
    let (server, sessions) = start_private(&["--innodb-lock-wait-timeout=1"]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let mut lock = MySqlConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let connections =
        "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist WHERE user = 'session'";
    let before = ask(&server.admin_url(), connections).await;
    let second = changed(&first, "b");
    let error = sessions.write(&id("a"), &second, Condition::Over(first.stamp()), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("innodb_lock_wait_timeout"), "{error}");
    assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a", "nothing was half done");
    assert_eq!(ask(&server.admin_url(), connections).await, before);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let (server, sessions) = start_private(&["--max-statement-time=0.3"]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let mut lock = MySqlConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let error = sessions.destroy(&id("a"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(sessions.exists(&id("a")).await.unwrap());
}

/// Waits until some statement waits for a lock.
async fn until_somebody_waits(url: &str) {
    let waiting =
        "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    // The server caches its status for 100 ms.
    while ask(url, waiting).await == ["0"] {
        sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_deadlock_is_retried_internally() {
    let (server, sessions) = start_private(&[]).await;
    let url = server.url();
    sql(&url, "INSERT INTO session (session_key, session_expiry) VALUES ('a', 1000), ('b', 2000)").await;
    // The other transaction locks b and then a and has more changes, so the server rolls back ours:
    // the collector locks a and then b.
    let mut other = MySqlConnection::connect(&url).await.unwrap();
    let work = (0..50).map(|row| format!("('x{row}', 4000000000000)")).collect::<Vec<_>>().join(",");
    let lock_b = format!(
        "BEGIN; INSERT INTO session (session_key, session_expiry) VALUES {work}; \
         SELECT 1 FROM session WHERE session_key = 'b' FOR UPDATE"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock_b)).execute(&mut other).await.unwrap();
    let cross = async {
        until_somebody_waits(&server.admin_url()).await;
        let lock_a = "SELECT 1 FROM session WHERE session_key = 'a' FOR UPDATE; COMMIT";
        sqlx::raw_sql(lock_a).execute(&mut other).await.unwrap();
    };
    let ((), removed) = tokio::join!(cross, sessions.gc(10));
    assert_eq!(removed.unwrap(), 2);
    let deadlocks = "SELECT variable_value FROM information_schema.global_status \
                     WHERE variable_name = 'Innodb_deadlocks'";
    assert_ne!(ask(&server.admin_url(), deadlocks).await, ["0"], "the test made one");
}
