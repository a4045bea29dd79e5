//! The limit on connections, pauses between attempts, closing, and logins that change.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider, Secret};
use session_postgres::{Credential, PostgresConfig, PostgresProvider};
use session_servers::proxy::Proxy;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};
use support::*;
use tokio::time::{sleep, timeout};

/// Twenty users whose calls are cancelled after a short time, while one row is locked. Returns the
/// server's maximum number of connections meanwhile.
async fn most_connections(url: &str, name: &str, sessions: Arc<PostgresProvider>) -> usize {
    let first = record("a");
    create(&*sessions, &id("a"), &first).await;
    let mut lock = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let go_on = Arc::new(AtomicBool::new(true));
    let users = (0..20).map(|_| {
        let (sessions, first, go_on) = (Arc::clone(&sessions), first.clone(), Arc::clone(&go_on));
        tokio::spawn(async move {
            while go_on.load(Ordering::Relaxed) {
                let write = changed(&first, "b");
                let over = Condition::Over(first.stamp());
                let id = id("a");
                let call = sessions.write(&id, &write, over, MINUTE);
                drop(timeout(Duration::from_millis(250), call).await);
            }
        })
    });
    let users = users.collect::<Vec<_>>();
    let count = format!("SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '{name}'");
    let mut most = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        most = most.max(ask(url, &count).await[0].parse().unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    go_on.store(false, Ordering::Relaxed);
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.unwrap();
    for user in users {
        user.await.unwrap();
    }
    for _ in 0..20 {
        assert!(sessions.exists(&id("a")).await.unwrap(), "and then it goes on");
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn cancelled_calls_never_open_more_connections_than_the_limit() {
    let (url, _) = start("pool_limit").await;
    let sessions = connect(&format!("{url}&max_connections=4&application_name=limited")).await;
    let sessions = Arc::new(sessions);
    let most = most_connections(&url, "limited", Arc::clone(&sessions)).await;
    assert!((2..=4).contains(&most), "{most} connections");
    let status = sessions.pool_status();
    assert_eq!(status.max, 4);
    session_conformance::eventually("every connection is free again", async || {
        let status = sessions.pool_status();
        status.in_use == 0 && status.waiting == 0 && status.idle <= 4
    })
    .await;
    assert!(status.opened >= 1, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn an_applications_pool_keeps_its_limit_too() {
    let (url, _) = start("given_limit").await;
    let options = format!("{url}%20-c%20lock_timeout%3D1s&application_name=given");
    let pool = PgPoolOptions::new().max_connections(4).connect(&options).await.unwrap();
    let sessions = Arc::new(PostgresProvider::with_pool(pool, "session").unwrap());
    let most = most_connections(&url, "given", Arc::clone(&sessions)).await;
    // One more for a short time, before the first statement.
    assert!((2..=5).contains(&most), "{most} connections");
    assert_eq!(sessions.pool_status().max, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_full_server_is_rarely_retried() {
    let (server, _) = start_private(&["max_connections=4", "superuser_reserved_connections=0"]).await;
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(&server.url()).await {
        taken.push(connection);
    }
    let proxy = Proxy::start(server.process().address()).unwrap();
    let url = format!("postgres://session:session@{}/session?sslmode=disable", proxy.address());
    let sessions = Arc::new(PostgresProvider::connect_lazy(url.parse().unwrap()));
    let begun = Instant::now();
    let users = (0..20).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move {
            while begun.elapsed() < Duration::from_secs(3) {
                let error = sessions.exists(&id("a")).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.to_string().contains("no connection left"), "{error}");
            }
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    let attempts = proxy.counts().connections;
    assert!((1..60).contains(&attempts), "{attempts} attempts");
    assert_eq!(sessions.pool_status().failed, attempts);
    drop(taken);
    assert!(!sessions.exists(&id("a")).await.unwrap(), "it recovers");
}

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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_new_connection_asks_for_user_and_password() {
    let (server, _) = start_private(&[]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let passwords = {
        let asked = Arc::clone(&asked);
        move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            async move {
                let password = if number == 0 { "session" } else { "rotated" };
                Ok(Credential { user: Some("session".into()), password: Secret::new(password) })
            }
        }
    };
    let config: PostgresConfig = server.url().replace("session:session@", "nobody:old@").parse().unwrap();
    let sessions = PostgresProvider::connect(config.credentials(passwords)).await.unwrap();
    sql(&server.url(), "ALTER ROLE session PASSWORD 'rotated'").await;
    assert!(!sessions.exists(&id("a")).await.unwrap(), "an open connection stays");
    let everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    sql(&server.url().replace(":session@", ":rotated@"), everybody).await;
    drop(sessions.exists(&id("a")).await);
    assert!(!sessions.exists(&id("a")).await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    let failing = || async { Err::<Credential, _>("the vault is sealed".into()) };
    let config: PostgresConfig = server.url().parse().unwrap();
    let error = PostgresProvider::connect(config.credentials(failing)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn limits_beyond_the_servers_maximum_are_clamped() {
    let (url, _) = start("longest").await;
    for (life, time) in (1..).zip([Duration::MAX, Duration::ZERO, Duration::from_secs(u64::from(u32::MAX))]) {
        let config: PostgresConfig = url.parse().unwrap();
        let config = config.lock_timeout(time).statement_timeout(time.max(Duration::from_secs(5)));
        let timeout = if time.is_zero() { MINUTE } else { time };
        let config = config.connect_timeout(timeout).max_connections(u32::MAX);
        let sessions = PostgresProvider::connect(config).await.unwrap();
        a_life(&sessions, life).await;
        let mut first = record("a");
        first.header.absolute = session_core::clock::Timestamp::MAX;
        for ttl in [Duration::ZERO, time] {
            drop(sessions.write(&id("ever"), &first, Condition::Absent, ttl).await.unwrap());
            sessions.touch(&id("ever"), &first, ttl).await.unwrap();
            sessions.read(&id("ever"), ttl).await.unwrap();
        }
        sessions.destroy(&id("ever"), None).await.unwrap();
    }
}
