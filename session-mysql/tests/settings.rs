//! How the server is set up does not decide whether sessions are kept: what matters is set on every
//! connection, and the rest is harmless.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use session_mysql::{MySqlPool, MySqlProvider};
use support::*;

/// Settings of the server, each of which has broken somebody's application.
const SETTINGS: [&str; 12] = [
    "autocommit = 0",
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE'",
    "sql_mode = ''",
    "sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION'",
    "sql_mode = 'ORACLE'",
    "time_zone = '+05:45'",
    "tx_isolation = 'SERIALIZABLE'",
    "tx_isolation = 'READ-UNCOMMITTED'",
    "tx_read_only = 1",
    "innodb_lock_wait_timeout = 100",
    "max_statement_time = 0.0001",
    "character_set_server = 'latin1', collation_server = 'latin1_german2_ci'",
];

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_setting_of_the_server_changes_what_sessions_do() {
    let (server, _) = start_private(&[]).await;
    let admin = server.admin_url();
    for (number, setting) in (0..).zip(SETTINGS) {
        let name = setting.split(' ').next().unwrap();
        let before = ask(&admin, &format!("SELECT CAST(@@global.{name} AS CHAR)")).await.remove(0);
        sql(&admin, &format!("SET GLOBAL {}", setting.replace(", ", ", GLOBAL "))).await;
        let sessions = connect(&server.url()).await;
        a_life(&sessions, number).await;
        // What was acknowledged is there for others, and after the connection has ended.
        create(&sessions, &hashed(500 + number), &record("kept")).await;
        sessions.close().await;
        let others = connect(&server.url()).await;
        let kept = others.read(&hashed(500 + number), MINUTE).await.unwrap();
        assert_eq!(kept.map(|kept| value(&kept)).as_deref(), Some("kept"), "{setting}");
        let back = if before.parse::<f64>().is_ok() { before } else { format!("'{before}'") };
        sql(&admin, &format!("SET GLOBAL {name} = {back}")).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_applications_pool_that_would_lose_every_write_is_refused() {
    let (server, _) = start_private(&["--autocommit=0"]).await;
    let pool = MySqlPool::connect(&server.url()).await.unwrap();
    let sessions = MySqlProvider::with_pool(pool, "session").unwrap();
    let write = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await;
    let error = write.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("autocommit"), "{error}");
}
