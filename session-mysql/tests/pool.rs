//! The limit on connections, pauses between attempts, closing, and logins that change.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider, Secret};
use session_mysql::{Credential, MySqlConfig, MySqlProvider};
use session_servers::mariadb::MariaDb;
use session_servers::proxy::Proxy;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{Connection, MySqlConnection};
use support::*;
use tokio::time::{sleep, timeout};

const CONNECTIONS: &str =
    "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist WHERE user = 'session'";

/// Twenty users whose calls are given up after a moment, while one row is locked. The most
/// connections that the server had meanwhile.
async fn most_connections(server: &MariaDb, sessions: Arc<MySqlProvider>) -> usize {
    let first = record("a");
    create(&*sessions, &id("a"), &first).await;
    let mut lock = MySqlConnection::connect(&server.admin_url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
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
    let mut most = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        most = most.max(ask(&server.admin_url(), CONNECTIONS).await[0].parse().unwrap());
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
async fn calls_that_are_given_up_never_make_more_connections_than_the_limit() {
    let (server, first) = start_private(&[]).await;
    first.close().await;
    let sessions = Arc::new(connect(&format!("{}?max_connections=4", server.url())).await);
    let most = most_connections(&server, Arc::clone(&sessions)).await;
    assert!((2..=4).contains(&most), "{most} connections");
    session_conformance::eventually("every connection is free again", async || {
        let status = sessions.pool_status();
        status.in_use == 0 && status.waiting == 0 && status.idle <= 4
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn an_applications_pool_keeps_its_limit_too() {
    let (server, first) = start_private(&["--innodb-lock-wait-timeout=1"]).await;
    first.close().await;
    let pool = MySqlPoolOptions::new().max_connections(4).connect(&server.url()).await.unwrap();
    let sessions = Arc::new(MySqlProvider::with_pool(pool, "session").unwrap());
    let most = most_connections(&server, Arc::clone(&sessions)).await;
    assert!((2..=4).contains(&most), "{most} connections");
    assert_eq!(sessions.pool_status().max, 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_is_full_is_asked_seldom() {
    let (server, sessions) = start_private(&["--max-connections=10"]).await;
    sessions.close().await;
    let mut taken = Vec::new();
    while let Ok(connection) = MySqlConnection::connect(&server.url()).await {
        taken.push(connection);
    }
    let proxy = Proxy::start(server.process().address()).unwrap();
    let url = format!("mysql://session:session@{}/session?ssl-mode=DISABLED", proxy.address());
    let sessions = Arc::new(MySqlProvider::connect_lazy(url.parse().unwrap()));
    let begun = Instant::now();
    let users = (0..20).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move {
            while begun.elapsed() < Duration::from_secs(3) {
                let error = sessions.exists(&id("a")).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    let attempts = proxy.counts().connections;
    assert!((1..60).contains(&attempts), "{attempts} attempts");
    drop(taken);
    session_conformance::eventually("it recovers", async || sessions.exists(&id("a")).await.is_ok()).await;
}

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
    // A call that was given up says goodbye, too.
    drop(timeout(Duration::from_micros(300), sessions.count()).await);
    sessions.close().await;
    let error = sessions.exists(&id("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    session_conformance::eventually("no connection is left", async || {
        ask(&server.admin_url(), CONNECTIONS).await == ["0"]
    })
    .await;
    assert_eq!(ask(&server.admin_url(), aborted).await, before);
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
    let config: MySqlConfig = server.url().replace("session:session@", "nobody:old@").parse().unwrap();
    let sessions = MySqlProvider::connect(config.credentials(passwords)).await.unwrap();
    sql(&server.admin_url(), "ALTER USER session@'%' IDENTIFIED BY 'rotated'").await;
    assert!(!sessions.exists(&id("a")).await.unwrap(), "an open connection stays");
    sql(&server.admin_url(), "KILL USER session").await;
    drop(sessions.exists(&id("a")).await);
    assert!(!sessions.exists(&id("a")).await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn limits_beyond_what_the_server_counts_are_the_longest_that_it_knows() {
    let (url, _) = start("longest").await;
    for (life, time) in (1..).zip([Duration::MAX, Duration::ZERO, Duration::from_secs(u64::from(u32::MAX))]) {
        let config: MySqlConfig = url.parse().unwrap();
        let config = config.lock_timeout(time).statement_timeout(time.max(Duration::from_secs(5)));
        let timeout = if time.is_zero() { MINUTE } else { time };
        let config = config.connect_timeout(timeout).max_connections(u32::MAX);
        let sessions = MySqlProvider::connect(config).await.unwrap();
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
