//! The server's settings do not affect sessions: the relevant ones are set on every connection, and
//! the rest are harmless.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use session_postgres::PostgresProvider;
use session_servers::postgres::Postgres as Server;
use sqlx::PgPool;
use support::*;

/// Settings of the role, each of which is known to have broken an application.
const SETTINGS: [&str; 14] = [
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_isolation = 'repeatable read'",
    "default_transaction_deferrable = on",
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "TimeZone = 'Asia/Kathmandu'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "backslash_quote = off",
    "extra_float_digits = -15",
];

async fn with(server: &Server, setting: &str) -> String {
    let admin = format!(
        "{}?options=-c%20default_transaction_read_only%3Doff%20-c%20statement_timeout%3D0",
        server.url()
    );
    sql(&admin, &format!("ALTER ROLE session RESET ALL; ALTER ROLE session SET {setting}")).await;
    server.url()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_server_setting_changes_how_sessions_behave() {
    let (server, _) = start_private(&[]).await;
    for (number, setting) in (0..).zip(SETTINGS) {
        let url = with(&server, setting).await;
        let sessions = connect(&url).await;
        a_life(&sessions, number).await;
        sessions.check().await.unwrap();
    }
}

/// No settings are changed on an application's or a pooler's connections.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn settings_that_cannot_be_changed_are_harmless_or_an_error_that_names_them() {
    let (server, _) = start_private(&[]).await;
    for (number, setting) in (0..).zip(SETTINGS) {
        let limits = setting.contains("= '1ms'") || setting.contains("read_only");
        if limits {
            continue;
        }
        let url = with(&server, setting).await;
        let unprepared = connect(&format!("{url}?prepared_statements=false")).await;
        a_life(&unprepared, number).await;
        let pool = PgPool::connect(&url).await.unwrap();
        a_life(&PostgresProvider::with_pool(pool, "session").unwrap(), 100 + number).await;
    }
    let url = with(&server, "default_transaction_read_only = on").await;
    let pool = PgPool::connect(&url).await.unwrap();
    let sessions = PostgresProvider::with_pool(pool, "session").unwrap();
    let write = sessions.write(&id("a"), &record("a"), Condition::Absent, MINUTE).await;
    let error = write.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("read-only"), "{error}");
}
