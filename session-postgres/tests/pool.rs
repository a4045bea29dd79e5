//! Closing, beside what all pools do.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use session_core::{ErrorKind, Provider};
use support::*;

session_sql_tests::pool!(Postgres);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn closing_ends_every_connection_and_refuses_later_calls() {
    let (url, _) = start("closing").await;
    let sessions = connect(&format!("{url}&application_name=closing")).await;
    create(&sessions, &id("a"), &record("a")).await;
    sessions.close().await;
    let error = sessions.exists(&id("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let left = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'closing'";
    session_conformance::eventually("no connection is left", async || ask(&url, left).await == ["0"]).await;
}
