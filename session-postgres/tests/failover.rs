//! Connections to read-only servers are replaced: standbys, and primaries that became standbys.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::fs;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use session_servers::postgres::Postgres as Server;
use support::*;

/// Restarts the server as a standby, until it is promoted.
fn demote(server: &Server) {
    server.process().stop().unwrap();
    fs::write(server.process().place().dir().join("data/standby.signal"), "").unwrap();
    server.process().restart().unwrap();
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_standby_is_unavailable_until_it_is_promoted() {
    let (server, sessions) = start_private(&[]).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    demote(&server);
    for _ in 0..3 {
        let second = changed(&first, "b");
        let over = Condition::Over(first.stamp());
        let error = sessions.write(&id("a"), &second, over, MINUTE).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{error}");
    }
    let error = sessions.read(&id("a"), MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("standby"), "{error}");
    sql(&server.url(), "SELECT pg_promote()").await;
    session_conformance::eventually("it takes writes again", async || {
        let (second, over) = (changed(&first, "b"), Condition::Over(first.stamp()));
        let written = sessions.write(&id("a"), &second, over, MINUTE).await;
        written.is_ok_and(|outcome| is_stored(&outcome))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_first_of_several_servers_that_takes_writes_is_used() {
    let ((one, _), (two, sessions)) = (start_private(&[]).await, start_private(&[]).await);
    create(&sessions, &id("a"), &record("on two")).await;
    demote(&one);
    let (first, second) = (one.process().port(), two.process().port());
    let addresses = format!("127.0.0.1:1,127.0.0.1:{first},127.0.0.1:{second}");
    for attrs in ["read-write", "primary", "any"] {
        let url = format!("postgres://session:session@{addresses}/session?target_session_attrs={attrs}");
        let sessions = connect(&url).await;
        assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "on two");
    }
}

/// Behaves like an address whose proxy routes each statement to a different server.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connections_that_turn_read_only_are_replaced() {
    let (server, _) = start_private(&[]).await;
    let sessions = connect(&format!("{}?max_connections=2&application_name=turned", server.url())).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let options = "?options=-c%20default_transaction_read_only%3Don";
    let read_only = connect(&format!("{}{options}", server.url())).await;
    let second = changed(&first, "b");
    let over = Condition::Over(first.stamp());
    let error = read_only.write(&id("a"), &second, over, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(read_only.pool_status().idle, 0, "the connection is not kept");
}
