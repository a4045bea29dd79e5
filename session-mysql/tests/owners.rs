//! The end of an owner's sessions beside an open transaction.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::sync::Arc;

use session_core::accounts::Owner;
use session_core::engine::Indexed;
use session_mysql::{MySqlConnectOptions, MySqlProvider};
use session_servers::compose;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{Connection, MySqlConnection};
use support::*;

session_sql_tests::owners!(MySql);

/// A session's id was replaced in an uncommitted transaction when its owner's sessions are ended.
/// With the engine's own connections, and with an application's pool at `READ COMMITTED`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_whose_id_is_replaced_during_the_call_is_ended() {
    let (url, own) = start("end_and_rename").await;
    for sessions in [Arc::new(own), Arc::new(reading_what_is_committed("end_and_rename").await)] {
        let ada = Owner::of("ada");
        for (old, new, owner) in [(5, 1, "owner"), (6, 9, "owner"), (7, 3, "UNHEX(SHA2('bob', 256))")] {
            sql(&url, "DELETE FROM end_and_rename").await;
            create(&*sessions, &hashed(old), &owned("a", ada)).await;
            let (old, new) = (hashed(old).to_text(), hashed(new).to_text());
            let mut other = MySqlConnection::connect(&compose::MYSQL.address()).await.unwrap();
            for part in [
                "BEGIN",
                &format!("UPDATE end_and_rename SET moved = TRUE WHERE session_key = '{old}'"),
                &format!(
                    "INSERT INTO end_and_rename (session_key, session_data, session_expiry, version, owner)
                     SELECT '{new}', session_data, session_expiry, version, {owner} FROM end_and_rename
                     WHERE session_key = '{old}'"
                ),
            ] {
                sqlx::raw_sql(sqlx::AssertSqlSafe(part)).execute(&mut other).await.unwrap();
            }
            let ending = {
                let sessions = Arc::clone(&sessions);
                tokio::spawn(async move { sessions.end_owner(&ada, 10).await })
            };
            let waits = async || {
                let waiting = "SELECT IF(COUNT(*) > 0, 'yes', 'no') FROM information_schema.processlist \
                               WHERE info LIKE 'DELETE FROM `end_and_rename`%'";
                ask(&url, waiting).await == ["yes"]
            };
            session_conformance::eventually("the statement waits for the row", waits).await;
            sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
            let expected = usize::from(owner == "owner");
            assert_eq!(ending.await.unwrap().unwrap(), expected, "{owner}");
            let left =
                format!("SELECT CAST(COUNT(*) AS CHAR) FROM end_and_rename WHERE session_key = '{new}'");
            assert_eq!(ask(&url, &left).await, [(1 - expected).to_string()]);
            assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 0);
        }
    }
}

/// On an application's pool, at its isolation level.
async fn reading_what_is_committed(table: &str) -> MySqlProvider {
    let options: MySqlConnectOptions = compose::MYSQL.address().parse().unwrap();
    let pool = MySqlPoolOptions::new()
        .after_connect(|connection, _| {
            Box::pin(async move {
                let level = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
                sqlx::raw_sql(level).execute(connection).await.map(drop)
            })
        })
        .connect_with(options)
        .await
        .unwrap();
    MySqlProvider::with_pool(pool, table).unwrap()
}
