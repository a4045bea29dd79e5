//! A server that dies, hangs, restarts or loses answers: accurate errors, no partial changes,
//! automatic recovery.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_core::engine::{Condition, DestroyOutcome};
use session_core::id::Token;
use session_core::{ErrorKind, Manager, Provider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::postgres::Postgres as Server;
use sqlx::{Connection, PgConnection};
use support::*;
use tokio::time::{sleep, timeout};

/// Opens `count` connections and leaves them idle.
async fn warm_up(sessions: &Arc<PostgresProvider>, connections: usize) {
    let reads = (0..connections).map(|_| {
        let sessions = Arc::clone(sessions);
        tokio::spawn(async move { sessions.count().await.unwrap() })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
}

const KILL_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE pid <> pg_backend_pid() AND application_name = 'victim'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn connections_killed_while_idle_cost_one_error_in_total() {
    let (url, _) = start("killed_idle").await;
    let sessions = Arc::new(connect(&format!("{url}&application_name=victim")).await);
    create(&*sessions, &id("a"), &record("a")).await;
    for _ in 0..3 {
        warm_up(&sessions, 8).await;
        sql(&url, KILL_ALL).await;
        let mut errors = 0;
        for _ in 0..20 {
            match sessions.read(&id("a"), MINUTE).await {
                Ok(found) => assert_eq!(value(&found.unwrap()), "a"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    errors += 1;
                }
            }
        }
        assert!(errors <= 1, "{errors} errors");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_write_on_a_killed_connection_is_unknown_and_can_be_retried() {
    let (url, _) = start("killed_write").await;
    let sessions = connect(&format!("{url}&application_name=victim")).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    sql(&url, KILL_ALL).await;
    let second = changed(&first, "b");
    let over = Condition::Over(first.stamp());
    let error = sessions.write(&id("a"), &second, over, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(is_stored(&sessions.write(&id("a"), &second, over, MINUTE).await.unwrap()));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_lost_answer_to_a_write_is_unknown_and_the_second_try_finds_its_own_version() {
    let (url, _) = start("lost_answers").await;
    let (proxy, url) = behind_proxy(&url);
    let sessions = connect(&format!("{url}&sslmode=disable")).await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let second = changed(&first, "b");
    replace(&sessions, &id("a"), &first, &second).await; // prepares the statements
    let third = changed(&second, "c");
    let over = Condition::Over(second.stamp());

    proxy.lose_answers(1, b"");
    let error = sessions.write(&id("a"), &third, over, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let current = found(sessions.write(&id("a"), &third, over, MINUTE).await.unwrap()).unwrap();
    assert!(current.header.has_version(third.header.version()), "it was applied, once");

    let there = Move::new(&id("a"), &id("b"), &third);
    let again = Move::new(&id("b"), &id("c"), &there.record);
    assert!(is_stored(&sessions.rename(&there.as_rename()).await.unwrap()));
    proxy.lose_answers(1, b"");
    let error = sessions.rename(&again.as_rename()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(is_stored(&sessions.rename(&again.as_rename()).await.unwrap()));

    create(&sessions, &id("z"), &record("z")).await;
    sessions.destroy(&id("z"), None).await.unwrap();
    proxy.lose_answers(1, b"");
    let error = sessions.destroy(&id("c"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(matches!(sessions.destroy(&id("c"), None).await.unwrap(), DestroyOutcome::Absent));

    proxy.lose_answers(1, b"");
    let error = sessions.read(&id("c"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "a lost read changed nothing");
}

/// A call that is cancelled at any point never leaves its answer to the next caller.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_cancelled_call_never_leaves_its_answer_to_the_next() {
    let (url, _) = start("cancelled").await;
    let (proxy, url) = behind_proxy(&url);
    let sessions = connect(&format!("{url}&sslmode=disable&max_connections=1")).await;
    for name in ["ada", "bob"] {
        create(&sessions, &id(name), &record(name)).await;
    }
    proxy.delay_answers(Duration::from_millis(10));
    let mut cancelled = 0;
    for round in 0..120 {
        let patience = Duration::from_micros(round * 150);
        cancelled += u32::from(timeout(patience, sessions.read(&id("ada"), MINUTE)).await.is_err());
        let bob = sessions.read(&id("bob"), MINUTE).await.unwrap().unwrap();
        assert_eq!(value(&bob), "bob", "round {round}");
    }
    assert!((10..120).contains(&cancelled), "{cancelled} of 120 were cancelled");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn calls_to_a_hanging_server_time_out_and_later_ones_succeed() {
    let (server, _) = start_private(&[]).await;
    let config: PostgresConfig = format!("{}?connect_timeout=3s", server.url()).parse().unwrap();
    let sessions = Arc::new(PostgresProvider::connect(config).await.unwrap());
    create(&*sessions, &id("a"), &record("a")).await;
    warm_up(&sessions, 6).await;
    server.process().pause().unwrap();
    let patience = Duration::from_millis(300);
    assert!(timeout(patience, sessions.read(&id("a"), MINUTE)).await.is_err(), "the caller decides how long");
    // The idle connections are tested once; then all are closed, and opening a new one fails.
    let begun = Instant::now();
    let error = sessions.read(&id("a"), MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let error = sessions.read(&id("a"), MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("no connection"), "{error}");
    server.process().resume().unwrap();
    for _ in 0..10 {
        assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_slow_connection_is_completed_across_callers_with_short_timeouts() {
    let (url, _) = start("slow_connect").await;
    let (proxy, url) = behind_proxy(&url);
    let sessions = PostgresProvider::connect_lazy(format!("{url}&sslmode=disable").parse().unwrap());
    // A handshake takes at least three answers, a first statement two: too long for one call, but
    // not for two.
    proxy.delay_answers(Duration::from_millis(200));
    let begun = Instant::now();
    while timeout(Duration::from_millis(550), sessions.exists(&id("a"))).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(15), "no caller ever gets a connection");
    }
    assert!(begun.elapsed() > Duration::from_millis(550), "one call was not enough");
}

/// Increments one session's counter through a manager until the test stops it.
async fn count_up(
    manager: Manager,
    token: Token,
    go_on: Arc<AtomicBool>,
    stored: Arc<AtomicU64>,
    unknown: Arc<AtomicU64>,
) {
    while go_on.load(Ordering::Relaxed) {
        let result = async {
            let session = manager
                .load(&token)
                .await?
                .ok_or(ErrorKind::Gone)
                .map_err(|kind| session_core::Error::new(kind, "lost"))?;
            session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
            session.release().await
        };
        match result.await.map_err(|error| (error.kind(), error)) {
            Ok(()) => drop(stored.fetch_add(1, Ordering::Relaxed)),
            Err((ErrorKind::OutcomeUnknown, _)) => drop(unknown.fetch_add(1, Ordering::Relaxed)),
            Err((ErrorKind::Unavailable, _)) => sleep(Duration::from_millis(5)).await,
            Err((_, error)) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_restarts_under_load_loses_no_acknowledged_write_and_doubles_none() {
    let (server, sessions) = start_private(&[]).await;
    let manager = Manager::builder(sessions).operation_timeout(Duration::from_secs(2)).build().unwrap();
    let session = manager.create();
    session.set("n", &0_u64).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    let go_on = Arc::new(AtomicBool::new(true));
    let (stored, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let workers = (0..6).map(|_| {
        let (go_on, stored, unknown) = (Arc::clone(&go_on), Arc::clone(&stored), Arc::clone(&unknown));
        tokio::spawn(count_up(manager.clone(), token.clone(), go_on, stored, unknown))
    });
    let workers = workers.collect::<Vec<_>>();
    for round in 0..4 {
        sleep(Duration::from_millis(400)).await;
        if round % 2 == 0 {
            server.process().stop().unwrap();
        } else {
            server.process().kill().unwrap();
        }
        server.process().restart().unwrap();
    }
    // It recovers without intervention.
    let before = stored.load(Ordering::Relaxed);
    let begun = Instant::now();
    while stored.load(Ordering::Relaxed) < before + 20 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not recover");
        sleep(Duration::from_millis(20)).await;
    }
    go_on.store(false, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    let session = manager.load(&token).await.unwrap().unwrap();
    let total = session.get::<u64>("n").unwrap().unwrap();
    let (stored, unknown) = (stored.load(Ordering::Relaxed), unknown.load(Ordering::Relaxed));
    assert!((stored..=stored + unknown).contains(&total), "{total} of {stored} stored and {unknown} unknown");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn when_all_connections_are_in_use_callers_wait_and_end_at_their_deadline() {
    let (url, _) = start("exhausted").await;
    let sessions = connect(&format!("{url}&max_connections=2")).await;
    let manager = Manager::builder(sessions).operation_timeout(Duration::from_millis(400)).build().unwrap();
    let session = manager.create();
    session.set("n", &0).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    // Two writers wait for a locked row, and hold both connections.
    let mut lock = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let begun = Instant::now();
    let writers = (1..7).map(|writer| {
        let (manager, token) = (manager.clone(), token.clone());
        tokio::spawn(async move {
            let session = manager.load(&token).await?.unwrap();
            session.set("n", &writer)?;
            session.release().await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        let error = writer.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_millis(1_600), "{:?}", begun.elapsed());
    sqlx::raw_sql("COMMIT").execute(&mut lock).await.unwrap();
    assert!(manager.load(&token).await.unwrap().is_some(), "and then it goes on");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_statement_timeout_is_unavailable_and_the_connection_stays_usable() {
    let (url, _) = start("statement_timeout").await;
    let sessions = connect(&format!(
        "{url}%20-c%20statement_timeout%3D200ms%20-c%20lock_timeout%3D0&application_name=timed"
    ))
    .await;
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    let mut lock = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM session FOR UPDATE").execute(&mut lock).await.unwrap();
    let connections = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'timed'";
    let outcome =
        sessions.write(&id("a"), &changed(&first, "b"), Condition::Over(first.stamp()), MINUTE).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("statement_timeout"), "{error}");
    assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a", "nothing was half done");
    assert_eq!(ask(&url, connections).await, ["1"]);
}

/// Waits until a statement waits for a lock.
async fn until_somebody_waits(url: &str) {
    let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while ask(url, waiting).await == ["0"] {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_deadlock_is_retried_internally() {
    let (server, sessions) = start_private(&["deadlock_timeout=1s"]).await;
    let url = server.url();
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    // The other transaction inserts a row `b` and then locks `a`; the provider's rename of `a` to
    // `b` locks `a`, waits for the other's `b`, and detects the deadlock first.
    let mut other = PgConnection::connect(&url).await.unwrap();
    let make_b = "SET deadlock_timeout = '1min'; BEGIN; \
                  INSERT INTO session (session_key, session_expiry) VALUES ('b', now())";
    sqlx::raw_sql(make_b).execute(&mut other).await.unwrap();
    let cross = async {
        until_somebody_waits(&url).await;
        let lock_a = "SELECT FROM session WHERE session_key = 'a' FOR UPDATE; ROLLBACK";
        sqlx::raw_sql(lock_a).execute(&mut other).await.unwrap();
    };
    let moved = Move::new(&id("a"), &id("b"), &first);
    let rename = moved.as_rename();
    let ((), outcome) = tokio::join!(cross, sessions.rename(&rename));
    assert!(is_stored(&outcome.unwrap()));
    assert!(sessions.exists(&id("b")).await.unwrap());
    assert!(server.process().log().contains("deadlock detected"), "the test made one");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_without_a_free_connection_is_unavailable_until_it_has_one() {
    let (server, sessions) = start_private(&["max_connections=5", "superuser_reserved_connections=0"]).await;
    let sessions = Arc::new(sessions);
    let reads = (0..40).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.read(&id("a"), MINUTE).await })
    });
    let mut refused = 0;
    for read in reads.collect::<Vec<_>>() {
        if let Err(error) = read.await.unwrap() {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0, "16 connections do not fit into 5");
    for _ in 0..20 {
        sessions.read(&id("a"), MINUTE).await.unwrap();
    }
    drop(server);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_says_at_once_what_is_wrong() {
    let server = Server::start_with(&[]).unwrap();
    let right = server.url();
    let connect = async |config: String| {
        let error = PostgresProvider::connect(config.parse::<PostgresConfig>().unwrap()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        (error.kind(), error.to_string())
    };
    for (config, kind, what) in [
        (right.replace(":session@", ":hunter2@"), ErrorKind::Config, "user and password"),
        (right.replace("//session:session", "//nobody:hunter2"), ErrorKind::Config, "user and password"),
        (format!("{right}x"), ErrorKind::Config, "no such database"),
        (format!("{right}?sslmode=require"), ErrorKind::Config, "TLS"),
        ("postgres://session:hunter2@127.0.0.1:1/session".into(), ErrorKind::Unavailable, "no connection"),
        ("host=/nowhere user=session password=hunter2".into(), ErrorKind::Unavailable, "no connection"),
        (
            "postgres://session:hunter2@nowhere.invalid/session".into(),
            ErrorKind::Unavailable,
            "no connection",
        ),
    ] {
        let (found, text) = connect(config.clone()).await;
        assert_eq!(found, kind, "{config}: {text}");
        assert!(text.contains(what), "{config}: {text}");
    }
    server.process().pause().unwrap();
    let begun = Instant::now();
    let (kind, text) = connect(format!("{right}?connect_timeout=300ms")).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("no connection") && begun.elapsed() < Duration::from_secs(2), "{text}");
    server.process().kill().unwrap();

    let lazy = PostgresProvider::connect_lazy(right.parse().unwrap());
    assert_eq!(lazy.read(&id("a"), MINUTE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.process().restart().unwrap();
    lazy.migrate().await.unwrap();
    assert!(lazy.read(&id("a"), MINUTE).await.unwrap().is_none(), "a service may start before its server");
}
