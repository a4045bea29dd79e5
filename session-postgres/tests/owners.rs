//! The statements for an owner's sessions beside an open transaction, and behind a pooler.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::sync::Arc;

use session_core::accounts::Owner;
use session_core::engine::{Indexed, Scan};
use session_servers::compose;
use sqlx::{Connection, PgConnection};
use support::*;

session_sql_tests::owners!(Postgres);

/// The rename of a session is not committed yet when its owner's sessions are ended.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_that_is_renamed_while_it_is_ended_is_ended() {
    let (url, sessions) = start("end_and_rename").await;
    let sessions = Arc::new(sessions);
    let ada = Owner::of("ada");
    for (old, new, owner) in [(5, 1, "owner"), (6, 9, "owner"), (7, 3, "sha256('bob')")] {
        create(&*sessions, &hashed(old), &owned("a", ada)).await;
        let (old, new) = (hashed(old).to_text(), hashed(new).to_text());
        let mut other = PgConnection::connect(&url).await.unwrap();
        let rename = format!(
            "BEGIN;
             INSERT INTO session (session_key, session_data, session_expiry, version, owner)
             SELECT '{new}', session_data, session_expiry, version, {owner} FROM session WHERE session_key = '{old}';
             UPDATE session SET moved = true WHERE session_key = '{old}'"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut other).await.unwrap();
        let ending = {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { sessions.end_owner(&ada, 10).await })
        };
        let waits = async || {
            let waiting = "SELECT (count(*) > 0)::text FROM pg_stat_activity \
                           WHERE wait_event_type = 'Lock' AND query LIKE '%ended%' AND query LIKE '%moved%'";
            ask(&url, waiting).await == ["true"]
        };
        session_conformance::eventually("the statement waits for the row", waits).await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
        let expected = usize::from(owner == "owner");
        assert_eq!(ending.await.unwrap().unwrap(), expected, "{owner}");
        let left = format!("SELECT count(*)::text FROM session WHERE session_key = '{new}'");
        assert_eq!(ask(&url, &left).await, [(1 - expected).to_string()]);
        assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 0);
    }
}

/// The same statements as behind a pooler.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_are_listed_and_ended_without_prepared_statements() {
    start("owner_as_text").await;
    let server = compose::POSTGRES.address();
    let sessions = connect(&format!("{server}?table=owner_as_text.session&prepared_statements=false")).await;
    let ada = Owner::of("ada");
    create(&sessions, &hashed(1), &owned("it's", ada)).await;
    let page = sessions.list(&ada, None, 1).await.unwrap();
    assert_eq!(value(&page.sessions[0].record), "it's");
    assert!(sessions.list(&ada, page.next.as_ref(), 1).await.unwrap().sessions.is_empty());
    assert_eq!(sessions.scan(None, 10).await.unwrap().sessions.len(), 1);
    assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 1);
}
