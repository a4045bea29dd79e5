//! Closing, beside what all pools do.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::sync::Arc;
use std::time::Duration;

use session_core::{ErrorKind, Provider};
use session_sql_tests::Engine;
use support::*;
use tokio::time::timeout;

session_sql_tests::pool!(MySql);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn closing_ends_every_connection_and_none_is_aborted() {
    let (server, first) = start_private(&[]).await;
    first.close().await;
    let aborted = "SELECT variable_value FROM information_schema.global_status \
                   WHERE variable_name = 'Aborted_clients'";
    let before = ask(&server.admin_url(), aborted).await;
    let sessions = Arc::new(connect(&server.url()).await);
    let reads = (0..8).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.count().await.unwrap() })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
    // A cancelled call's connection is also closed cleanly.
    drop(timeout(Duration::from_micros(300), sessions.count()).await);
    sessions.close().await;
    let error = sessions.exists(&id("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    session_conformance::eventually("no connection is left", async || {
        ask(&server.admin_url(), MySql::DIALECT.connections).await == ["0"]
    })
    .await;
    assert_eq!(ask(&server.admin_url(), aborted).await, before);
}
