//! `PgBouncer` in each of its modes, with Debian's default configuration.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;

use session_core::engine::DestroyOutcome;
use session_core::{ErrorKind, Provider};
use session_postgres::PostgresProvider;
use session_servers::pgbouncer::PgBouncer;
use session_servers::postgres::Postgres as Server;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool, Row};
use support::*;

const MODES: [&str; 3] = ["pool_mode=session", "pool_mode=transaction", "pool_mode=statement"];

/// A server with a table, and a pooler with two connections to it for each user.
async fn behind(mode: &str) -> (Server, PgBouncer) {
    let (server, _) = start_private(&[]).await;
    let size = if mode == MODES[0] { "default_pool_size=20" } else { "default_pool_size=2" };
    let pooler = PgBouncer::start(server.process().port(), &[mode, size]).unwrap();
    (server, pooler)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_work_in_every_mode_of_the_pooler() {
    for mode in MODES {
        let (_server, pooler) = behind(mode).await;
        let sessions = Arc::new(connect(&format!("{}?max_connections=8", pooler.url())).await);
        sessions.check().await.unwrap();
        let users = (0..8).map(|user| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                for life in 0..10 {
                    a_life(&*sessions, user * 100 + life).await;
                }
            })
        });
        for user in users.collect::<Vec<_>>() {
            user.await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_default_configuration_of_the_pooler_is_sufficient() {
    let (server, _) = start_private(&[]).await;
    let pooler = PgBouncer::start(server.process().port(), &[]).unwrap();
    a_life(&connect(&pooler.url()).await, 1).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_applications_pool_works_behind_a_pooler() {
    let (_server, pooler) = behind(MODES[1]).await;
    let pool = PgPoolOptions::new().connect(&format!("{}?sslmode=disable", pooler.url())).await;
    let message = pool.unwrap_err().to_string();
    assert!(message.contains("extra_float_digits"), "sqlx can be configured to omit it: {message}");
    let options = pooler.url().parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None);
    let pool = PgPool::connect_with(options).await.unwrap();
    let sessions = PostgresProvider::with_pool(pool, "session").unwrap();
    for life in 0..5 {
        a_life(&sessions, life).await;
    }
}

/// In transaction mode, the pooler assigns the same connection to another program, whose driver
/// numbers its statements in the same way.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_logout_never_runs_the_statement_of_another_program() {
    let (server, pooler) = behind(MODES[1]).await;
    sql(&server.url(), "CREATE TABLE other (n text); INSERT INTO other VALUES ('row')").await;
    let sessions = connect(&pooler.url()).await;
    create(&sessions, &id("a"), &record("a")).await;
    let statements = "SELECT name || ' ' || statement FROM pg_prepared_statements";
    let options = pooler.url().parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let ours = sqlx::raw_sql(statements).fetch_all(&mut other).await.unwrap();
    let ours: Vec<String> = ours.iter().map(|row| row.get(0)).collect();
    assert_eq!(ours, [""; 0], "nothing that another program could run by mistake");

    // The names and argument types of the provider's own statements: a read, a destroy.
    let names = (1..20).map(|n| format!("PREPARE sqlx_s_{n} (text) AS DELETE FROM other WHERE n <> $1;"));
    sqlx::raw_sql(sqlx::AssertSqlSafe(names.collect::<String>())).execute(&mut other).await.unwrap();
    for _ in 0..3 {
        assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a");
    }
    assert!(matches!(sessions.destroy(&id("a"), None).await.unwrap(), DestroyOutcome::Destroyed));
    assert_eq!(ask(&server.url(), "SELECT count(*)::text FROM session").await, ["0"]);
    assert_eq!(ask(&server.url(), "SELECT count(*)::text FROM other").await, ["1"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn settings_that_a_pooler_cannot_keep_are_refused_with_advice() {
    let (server, pooler) = behind(MODES[1]).await;
    for setting in ["options=-c%20search_path%3Dweb", "search_path=web"] {
        let error = connect_result(&format!("{}?{setting}", pooler.url())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("table=schema.name"), "{error}");
    }
    sql(&server.url(), "CREATE SCHEMA web").await;
    let sessions = connect(&format!("{}?table=web.session&migrate=true", pooler.url())).await;
    a_life(&sessions, 1).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_runs_through_a_pooler_of_transactions() {
    let server = Server::start().unwrap();
    let pooler = PgBouncer::start(server.process().port(), &[MODES[1]]).unwrap();
    let sessions = connect(&format!("{}?migrate=true", pooler.url())).await;
    sessions.check().await.unwrap();
    a_life(&sessions, 1).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_operation_through_a_pooler_is_one_round_trip() {
    let (_server, pooler) = behind(MODES[1]).await;
    let proxy = session_servers::proxy::Proxy::start(pooler.process().address()).unwrap();
    let url = format!("postgres://session:session@{}/session?sslmode=disable", proxy.address());
    let sessions = connect(&url).await;
    create(&sessions, &id("a"), &record("a")).await;
    let before = proxy.counts().round_trips;
    for _ in 0..5 {
        assert!(sessions.read(&id("a"), MINUTE).await.unwrap().is_some());
    }
    assert_eq!(proxy.counts().round_trips - before, 5);
}

/// Settings, locks and prepared statements of one client would stay on a connection that the pooler
/// gives to others.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_migration_leaves_nothing_on_the_connections_of_a_pooler() {
    let server = Server::start_with(&["lock_timeout=7s", "statement_timeout=9s"]).unwrap();
    let pooler = PgBouncer::start(server.process().port(), &[MODES[1], "default_pool_size=1"]).unwrap();
    connect(&format!("{}?migrate=true", pooler.url())).await;
    let locks = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(ask(&server.url(), locks).await, ["0"]);
    let options = pooler.url().parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let left = "SELECT concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'), \
                (SELECT count(*) FROM pg_prepared_statements))";
    let left = sqlx::raw_sql(left).fetch_one(&mut other).await.unwrap();
    assert_eq!(left.get::<String, _>(0), "7s 9s 0");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn ten_processes_may_migrate_through_a_pooler_of_transactions() {
    for size in ["default_pool_size=2", "default_pool_size=20"] {
        let server = Server::start().unwrap();
        let pooler = PgBouncer::start(server.process().port(), &[MODES[1], size]).unwrap();
        let tasks = (0..10).map(|_| {
            let url = format!("{}?migrate=true", pooler.url());
            tokio::spawn(async move { connect_result(&url).await.map(drop) })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
        connect(&pooler.url()).await.check().await.unwrap();
        let valid = "SELECT count(*)::text FROM pg_index WHERE indrelid = 'session'::regclass AND indisvalid";
        assert_eq!(ask(&server.url(), valid).await, ["3"]);
    }
}
