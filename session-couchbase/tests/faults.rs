//! Servers that restart, hang, are cut off, fall silent or lose responses: correct errors,
//! recovery, no mixed-up responses. The server is CouchbaseMock.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_conformance::samples::{IDLE, create, id, next, over, session, text};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{ErrorKind, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider};
use session_servers::couchbase::{CouchbaseMock, url};
use session_servers::proxy::Proxy;
use tokio::time::{sleep, timeout};

async fn connect(url: &str, patience: Duration) -> CouchbaseProvider {
    let config: CouchbaseConfig = url.parse().unwrap();
    CouchbaseProvider::connect(config.timeout(patience).unwrap().connections(1).unwrap()).await.unwrap()
}

/// A server behind a proxy that its clients keep using.
fn proxied() -> (CouchbaseMock, Proxy) {
    let server = CouchbaseMock::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    server.advertise(proxy.address()).unwrap();
    (server, proxy)
}

/// Reads until there is a response; panics if that takes too long.
async fn recovered(provider: &CouchbaseProvider, id: &StorageId) -> Option<Record> {
    let began = Instant::now();
    loop {
        match provider.read(id, IDLE).await {
            Ok(record) => return record,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(15), "no recovery in time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_is_down_is_unavailable_in_time_and_used_after_recovery() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server.url(), Duration::from_millis(700)).await;
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();

    server.process().kill().unwrap();
    let began = Instant::now();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = over(&provider, &id, &seen, "y").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2));

    server.process().restart().unwrap();
    assert!(recovered(&provider, &id).await.is_none(), "the mock keeps nothing over a restart");
    let late = over(&provider, &id, &seen, "late").await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hanging_server_is_unavailable_in_time_and_recovers() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server.url(), Duration::from_millis(700)).await;
    let id = id();
    create(&provider, &id, &session("before")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();

    server.process().pause().unwrap();
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = over(&provider, &id, &seen, "while it hung").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(!format!("{error} {error:?}").contains(&id.to_text()), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    server.process().resume().unwrap();

    recovered(&provider, &id).await.unwrap();
    // Another write over the same read: one of the two is stored, never both.
    let outcome = over(&provider, &id, &seen, "after").await.unwrap();
    let now = text(&provider.read(&id, IDLE).await.unwrap().unwrap());
    match outcome {
        WriteOutcome::Stored(_) => assert_eq!(now, "after"),
        WriteOutcome::Refused(_) => assert_eq!(now, "while it hung"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_connection_that_is_cut_is_replaced() {
    let (_server, proxy) = proxied();
    let provider = connect(&url(proxy.address()), Duration::from_secs(2)).await;
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();
    for _ in 0..3 {
        proxy.cut();
        assert_eq!(text(&recovered(&provider, &id).await.unwrap()), "x");
    }
    proxy.refuse();
    proxy.cut();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    proxy.accept().unwrap();
    assert_eq!(text(&recovered(&provider, &id).await.unwrap()), "x");
}

/// The SDK alone would wait for the operating system to notice, which takes a quarter of an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn silently_dead_connections_are_replaced() {
    let (_server, proxy) = proxied();
    let provider = connect(&url(proxy.address()), Duration::from_millis(700)).await;
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();

    // Packets in flight are lost, and the connections stay open silently.
    proxy.forget_connections();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(text(&recovered(&provider, &id).await.unwrap()), "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_slow_server_is_waited_for_and_a_too_slow_one_is_unavailable() {
    let (_server, proxy) = proxied();
    let provider = connect(&url(proxy.address()), Duration::from_millis(900)).await;
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();
    proxy.delay_answers(Duration::from_millis(300));
    assert!(provider.read(&id, IDLE).await.unwrap().is_some());
    proxy.delay_answers(Duration::from_secs(2));
    let began = Instant::now();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_millis(1_800));
    proxy.delay_answers(Duration::ZERO);
    assert_eq!(text(&recovered(&provider, &id).await.unwrap()), "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_lost_response_is_unknown_for_a_write_and_its_retry_is_applied_once() {
    const ADD: &[u8] = &[0x80, 0x02];
    const REPLACE: &[u8] = &[0x80, 0x03];
    const DELETE: &[u8] = &[0x80, 0x04];
    let (_server, proxy) = proxied();
    let provider = connect(&url(proxy.address()), Duration::from_secs(2)).await;
    let id = id();

    proxy.lose_answers(1, ADD);
    let record = session("one");
    assert_eq!(create(&provider, &id, &record).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let seen = recovered(&provider, &id).await.unwrap();
    assert_eq!(seen.header.version(), record.header.version());

    let record = next(&seen, "two");
    let write = || provider.write(&id, &record, Condition::Over(seen.stamp()), IDLE);
    proxy.lose_answers(1, REPLACE);
    assert_eq!(write().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    recovered(&provider, &id).await.unwrap();
    let WriteOutcome::Refused(refusal) = write().await.unwrap() else { panic!("written twice") };
    assert!(refusal.current.unwrap().header.has_version(record.header.version()));

    proxy.lose_answers(1, DELETE);
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert!(recovered(&provider, &id).await.is_none());
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Absent));
}

/// When a write is retried after others have overwritten it, the caller gets the current state as a
/// unit: the record and the compare token of one document. The caller checks whether its own write
/// is in that record's history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_retried_write_that_was_overwritten_is_refused_with_one_document() {
    let (_server, proxy) = proxied();
    let provider = connect(&url(proxy.address()), Duration::from_secs(2)).await;
    let other = connect(&url(proxy.address()), Duration::from_secs(2)).await;
    for (create_first, command) in [(true, [0x80, 0x02]), (false, [0x80, 0x03])] {
        let id = id();
        let (record, condition) = if create_first {
            (session("ours"), Condition::Absent)
        } else {
            create(&other, &id, &session("first")).await.unwrap();
            let seen = recovered(&provider, &id).await.unwrap();
            (next(&seen, "ours"), Condition::Over(seen.stamp()))
        };
        proxy.lose_answers(1, &command);
        let lost = provider.write(&id, &record, condition, IDLE).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::OutcomeUnknown);
        let ours = recovered(&other, &id).await.unwrap();
        over(&other, &id, &ours, "theirs").await.unwrap();
        recovered(&provider, &id).await.unwrap();

        let WriteOutcome::Refused(refusal) = provider.write(&id, &record, condition, IDLE).await.unwrap()
        else {
            panic!("overwrote another write")
        };
        let current = refusal.current.unwrap();
        assert!(current.header.has_version(record.header.version()), "the caller finds its own write in it");
        let newest = other.read(&id, IDLE).await.unwrap().unwrap();
        assert_eq!((current.stamp(), text(&current).as_str()), (newest.stamp(), "theirs"));
        let stored = over(&provider, &id, &current, "merged").await.unwrap();
        assert!(matches!(stored, WriteOutcome::Stored(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_dropped_future_leaves_its_response_to_another_call() {
    const SESSIONS: usize = 8;
    let server = CouchbaseMock::start().unwrap();
    let provider = Arc::new(connect(&server.url(), Duration::from_secs(5)).await);
    let ids: Arc<Vec<_>> = Arc::new((0..SESSIONS).map(|_| id()).collect());
    for (number, id) in ids.iter().enumerate() {
        create(&*provider, id, &session(&number.to_string().repeat(2_000))).await.unwrap();
    }
    let mut tasks = Vec::new();
    for worker in 0..8_usize {
        let (provider, ids) = (Arc::clone(&provider), Arc::clone(&ids));
        tasks.push(tokio::spawn(async move {
            let (mut dropped, mut answered) = (0, 0);
            for round in 0..200 {
                let number = (worker + round) % SESSIONS;
                let patience = Duration::from_micros(100 * (round as u64 % 50));
                match timeout(patience, provider.read(&ids[number], IDLE)).await {
                    Err(_) => dropped += 1,
                    Ok(record) => {
                        assert_eq!(text(&record.unwrap().unwrap()), number.to_string().repeat(2_000));
                        answered += 1;
                    }
                }
            }
            (dropped, answered)
        }));
    }
    let (mut dropped, mut answered) = (0, 0);
    for task in tasks {
        let (one, other) = task.await.unwrap();
        dropped += one;
        answered += other;
    }
    assert!(dropped > 50 && answered > 50, "{dropped} dropped, {answered} answered");
    for (number, id) in ids.iter().enumerate() {
        let record = provider.read(id, IDLE).await.unwrap().unwrap();
        assert_eq!(text(&record), number.to_string().repeat(2_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_logout_ends_a_session_under_constant_writes_and_touches() {
    let server = CouchbaseMock::start().unwrap();
    let provider = Arc::new(connect(&server.url(), Duration::from_secs(5)).await);
    for _ in 0..5 {
        let id = id();
        create(&*provider, &id, &session("0")).await.unwrap();
        let writers = (0..4).map(|worker| {
            let (provider, id) = (Arc::clone(&provider), id.clone());
            tokio::spawn(async move {
                while let Some(seen) = provider.read(&id, IDLE).await.unwrap() {
                    if worker % 2 == 0 {
                        over(&*provider, &id, &seen, "more").await.unwrap();
                    } else {
                        provider.touch(&id, &seen, IDLE * 2).await.unwrap();
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        sleep(Duration::from_millis(20)).await;
        let outcome = timeout(Duration::from_secs(10), provider.destroy(&id, None)).await.unwrap().unwrap();
        assert!(matches!(outcome, DestroyOutcome::Destroyed));
        for writer in writers {
            timeout(Duration::from_secs(5), writer).await.unwrap().unwrap();
        }
        assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    }
}
