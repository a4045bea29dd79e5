//! Servers that restart, hang, are cut off or lose responses: correct errors, recovery, no mixed-up
//! responses.

#![allow(clippy::unwrap_used)] // helpers are test code too

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_conformance::samples::{IDLE, create, id, next, over, session, text};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::{ErrorKind, Provider};
use session_memcache::{MemcacheConfig, MemcacheProvider};
use session_servers::memcached::Memcached;
use session_servers::proxy::Proxy;
use tokio::time::{sleep, timeout};

fn through(proxy: &Proxy) -> MemcacheProvider {
    let config = MemcacheConfig::new([proxy.address().to_string()]).unwrap();
    MemcacheProvider::new(&config.timeout(Duration::from_secs(2)).unwrap())
}

/// Opens this number of connections and leaves them idle.
async fn warm_up(provider: &Arc<MemcacheProvider>, connections: usize) {
    let calls = (0..connections).map(|_| {
        let provider = Arc::clone(provider);
        tokio::spawn(async move { provider.read(&id(), IDLE).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn after_a_restart_the_sessions_are_not_found_and_stale_connections_cause_no_error() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    proxy.delay_answers(Duration::from_millis(30));
    let provider = Arc::new(through(&proxy));
    let id = id();
    create(&*provider, &id, &session("x")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    warm_up(&provider, 10).await;
    assert!(proxy.counts().connections >= 10);

    server.process().kill().unwrap();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.process().restart().unwrap();
    for _ in 0..20 {
        assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    }
    let late = over(&*provider, &id, &seen, "late").await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    assert!(!provider.exists(&id).await.unwrap());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hanging_server_is_unavailable_in_time_and_recovers() {
    let server = Memcached::start().unwrap();
    let config = MemcacheConfig::new([server.process().address().to_string()]).unwrap();
    let provider = MemcacheProvider::new(&config.timeout(Duration::from_millis(700)).unwrap());
    let id = id();
    create(&provider, &id, &session("before")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();

    server.process().pause().unwrap();
    // The signal stops one thread after the other.
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // It is in the server's buffer and may be executed when the server wakes.
    let error = over(&provider, &id, &seen, "while it hung").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(!format!("{error} {error:?}").contains(&id.to_text()), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    server.process().resume().unwrap();

    // The same write again is applied once, whether or not the first was.
    let record = next(&seen, "after");
    let outcome = provider.write(&id, &record, Condition::Over(seen.stamp()), IDLE).await.unwrap();
    let now = text(&provider.read(&id, IDLE).await.unwrap().unwrap());
    match outcome {
        WriteOutcome::Stored(_) => assert_eq!(now, "after"),
        WriteOutcome::Refused(_) => assert_eq!(now, "while it hung"),
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn silently_dead_connections_cause_one_failure_not_one_each() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    proxy.delay_answers(Duration::from_millis(30));
    let provider = Arc::new(through(&proxy));
    warm_up(&provider, 10).await;
    proxy.delay_answers(Duration::ZERO);
    let id = id();
    create(&*provider, &id, &session("x")).await.unwrap();

    proxy.forget_connections();
    let before = proxy.counts().connections;
    // The caller gives up before the provider would.
    assert!(timeout(Duration::from_secs(1), provider.read(&id, IDLE)).await.is_err());
    for _ in 0..10 {
        assert!(provider.read(&id, IDLE).await.unwrap().is_some());
    }
    assert_eq!(proxy.counts().connections, before + 1, "one failure replaced them all");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_lost_response_is_unknown_for_a_write_and_unavailable_for_a_read() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = through(&proxy);
    let id = id();

    proxy.lose_answers(1, b"ms ");
    let record = session("one");
    assert_eq!(create(&provider, &id, &record).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    assert_eq!(seen.header.version(), record.header.version());

    proxy.lose_answers(1, b"mg ");
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);

    // Written; a retry finds its own token in the stored record, which the core reports as stored.
    let record = next(&seen, "two");
    let write = || provider.write(&id, &record, Condition::Over(seen.stamp()), IDLE);
    proxy.lose_answers(1, b"ms ");
    assert_eq!(write().await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let WriteOutcome::Refused(refusal) = write().await.unwrap() else { panic!("written twice") };
    assert!(refusal.current.unwrap().header.has_version(record.header.version()));

    proxy.lose_answers(1, b"md ");
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Absent));

    proxy.refuse();
    proxy.cut();
    // The runtime must notice first; an earlier write is `OutcomeUnknown`.
    sleep(Duration::from_millis(50)).await;
    assert_eq!(create(&provider, &id, &session("x")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    proxy.accept().unwrap();
    create(&provider, &id, &session("x")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn something_that_is_not_memcached_is_unavailable_and_never_a_session() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap();
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    let provider = MemcacheProvider::new(&address.to_string().parse().unwrap());
    assert_eq!(provider.read(&id(), IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = create(&provider, &id(), &session("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
}

/// When a write is retried after others have overwritten it, the caller gets the current state as a
/// unit: the record and the compare token of one item. The caller checks whether its own write is
/// in that record's history.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_retried_write_that_was_overwritten_is_refused_with_one_item() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let (provider, other) = (through(&proxy), MemcacheProvider::new(&server.url().parse().unwrap()));
    let newest = async |id: &session_core::id::StorageId| other.read(id, IDLE).await.unwrap().unwrap();
    for create_first in [true, false] {
        let id = id();
        let (record, condition) = if create_first {
            (session("ours"), Condition::Absent)
        } else {
            create(&other, &id, &session("first")).await.unwrap();
            let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
            (next(&seen, "ours"), Condition::Over(seen.stamp()))
        };
        proxy.lose_answers(1, b"ms ");
        let lost = provider.write(&id, &record, condition, IDLE).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::OutcomeUnknown);
        over(&other, &id, &newest(&id).await, "theirs").await.unwrap();

        let WriteOutcome::Refused(refusal) = provider.write(&id, &record, condition, IDLE).await.unwrap()
        else {
            panic!("overwrote another write")
        };
        let current = refusal.current.unwrap();
        assert!(current.header.has_version(record.header.version()), "the caller finds its own write in it");
        assert_eq!((current.stamp(), text(&current).as_str()), (newest(&id).await.stamp(), "theirs"));
        let stored = over(&provider, &id, &current, "merged").await.unwrap();
        assert!(matches!(stored, WriteOutcome::Stored(_)));
    }
}

/// A truncated or malformed response may belong to a command that was executed.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_truncated_or_malformed_response_is_unknown_for_a_write() {
    for answer in [
        "",
        "H",
        "HD",
        "HD c1",
        "HD c1\n",
        "HD cx\r\n",
        "MN\r\n",
        "EN\r\n",
        "VA\r\n",
        "VA x\r\n",
        "VA 5 c1\r\nab",
        "VA 2 c1\r\nabcd",
        "SERVER_ERROR out of mem",
        "STORED\r\n",
        "\r\n",
    ] {
        let provider = MemcacheProvider::new(&answers(answer).to_string().parse().unwrap());
        let error = create(&provider, &id(), &session("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{answer:?}: {error:?}");
        let provider = MemcacheProvider::new(&answers(answer).to_string().parse().unwrap());
        match provider.read(&id(), IDLE).await {
            Ok(record) => assert!(record.is_none() && answer == "EN\r\n", "{answer:?}: {record:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{answer:?}: {error:?}"),
        }
    }
}

/// A server that sends this response to the first request of each connection, and closes it.
fn answers(text: &'static str) -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(text.as_bytes());
        }
    });
    address
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_timeout_is_too_long() {
    let server = Memcached::start().unwrap();
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(253_402_300_799)] {
        let config = server.url().parse::<MemcacheConfig>().unwrap().timeout(timeout).unwrap();
        let provider = MemcacheProvider::connect(&config).await.unwrap();
        for lifetime in [Duration::ZERO, Duration::from_nanos(1), timeout] {
            let id = id();
            provider.write(&id, &session("x"), Condition::Absent, lifetime).await.unwrap();
            provider.read(&id, lifetime).await.unwrap();
            provider.destroy(&id, None).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_dropped_future_leaves_its_response_to_another_call() {
    const SESSIONS: usize = 8;
    let server = Memcached::start().unwrap();
    let config = MemcacheConfig::new([server.process().address().to_string()]).unwrap();
    // Few connections, so that calls compete for them.
    let provider = Arc::new(MemcacheProvider::new(&config.connections(3).unwrap()));
    let ids: Arc<Vec<_>> = Arc::new((0..SESSIONS).map(|_| id()).collect());
    for (number, id) in ids.iter().enumerate() {
        create(&*provider, id, &session(&number.to_string().repeat(2_000))).await.unwrap();
    }
    let mut tasks = Vec::new();
    for worker in 0..16_usize {
        let (provider, ids) = (Arc::clone(&provider), Arc::clone(&ids));
        tasks.push(tokio::spawn(async move {
            let (mut dropped, mut answered) = (0, 0);
            for round in 0..400 {
                let number = (worker + round) % SESSIONS;
                let patience = Duration::from_micros(30 * (round as u64 % 40));
                let read = timeout(patience, provider.read(&ids[number], IDLE));
                match read.await {
                    Err(_) => dropped += 1,
                    Ok(record) => {
                        let text = text(&record.unwrap().unwrap());
                        assert_eq!(text, number.to_string().repeat(2_000));
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
    assert!(dropped > 100 && answered > 100, "{dropped} dropped, {answered} answered");
    sleep(Duration::from_millis(50)).await;
    for (number, id) in ids.iter().enumerate() {
        assert!(text(&provider.read(id, IDLE).await.unwrap().unwrap()).starts_with(&number.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_logout_ends_a_session_under_constant_writes() {
    let server = Memcached::start().unwrap();
    let provider = Arc::new(MemcacheProvider::new(&server.url().parse().unwrap()));
    for _ in 0..20 {
        let id = id();
        create(&*provider, &id, &session("0")).await.unwrap();
        let writers = (0..4).map(|_| {
            let (provider, id) = (Arc::clone(&provider), id.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while let Some(seen) = provider.read(&id, IDLE).await.unwrap() {
                    let outcome = over(&*provider, &id, &seen, "more").await.unwrap();
                    written += u64::from(matches!(outcome, WriteOutcome::Stored(_)));
                }
                written
            })
        });
        let writers: Vec<_> = writers.collect();
        sleep(Duration::from_millis(10)).await;
        let outcome = timeout(Duration::from_secs(5), provider.destroy(&id, None)).await.unwrap().unwrap();
        assert!(matches!(outcome, DestroyOutcome::Destroyed));
        let mut written = 0;
        for writer in writers {
            written += timeout(Duration::from_secs(5), writer).await.unwrap().unwrap();
        }
        assert!(written > 0);
        assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    }
}
