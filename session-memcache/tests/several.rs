//! Several servers: which sessions are lost when one fails, hangs, refuses, recovers or restarts.

#![allow(clippy::unwrap_used)] // helpers are test code too

use std::time::{Duration, Instant};

use session_conformance::samples::{IDLE, create, id, over, session, text};
use session_core::engine::{DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use session_memcache::MemcacheProvider;
use session_servers::memcached::{Memcached, ask};
use tokio::time::sleep;

const SESSIONS: usize = 60;

/// Three servers, a provider for them, and sessions on all of them.
async fn three() -> ([Memcached; 3], MemcacheProvider, Vec<StorageId>) {
    let servers = [0, 1, 2].map(|_| Memcached::start().unwrap());
    let list = servers.each_ref().map(|server| server.process().address().to_string()).join(",");
    let config = format!("memcache://{list}/?timeout=700ms").parse().unwrap();
    let provider = MemcacheProvider::connect(&config).await.unwrap();
    let ids: Vec<_> = (0..SESSIONS).map(|_| id()).collect();
    for id in &ids {
        create(&provider, id, &session("x")).await.unwrap();
    }
    assert!(servers.iter().all(|server| server.stats().unwrap()["curr_items"] > 5));
    (servers, provider, ids)
}

fn lies_on(server: &Memcached, id: &StorageId) -> bool {
    ask(server.process().address(), &format!("mg session:{} t", id.to_text())).unwrap()[0].starts_with("HD")
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_restarted_server_has_lost_its_sessions_and_accepts_new_ones() {
    let (servers, provider, ids) = three().await;
    let theirs: Vec<_> = ids.iter().filter(|id| lies_on(&servers[1], id)).collect();
    for round in ["first", "second"] {
        servers[1].process().kill().unwrap();
        for id in &ids {
            let (read, theirs) = (provider.read(id, IDLE).await, theirs.contains(&id));
            assert_eq!(
                read.as_ref().err().map(session_core::Error::kind),
                theirs.then_some(ErrorKind::Unavailable)
            );
            assert!(theirs || read.unwrap().is_some(), "those of the other servers go on");
        }
        // No failover: sessions written elsewhere meanwhile could come back later.
        let error = create(&provider, theirs[0], &session(round)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        servers[1].process().restart().unwrap();
        for id in &theirs {
            assert!(provider.read(id, IDLE).await.unwrap().is_none(), "not found, and nobody else's");
            create(&provider, id, &session(round)).await.unwrap();
            assert_eq!(text(&provider.read(id, IDLE).await.unwrap().unwrap()), round);
            assert!(lies_on(&servers[1], id));
        }
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_logout_while_its_server_is_down_fails_and_works_when_it_is_back() {
    let (servers, provider, ids) = three().await;
    let id = ids.iter().find(|id| lies_on(&servers[2], id)).unwrap();
    let seen = provider.read(id, IDLE).await.unwrap().unwrap();
    servers[2].process().pause().unwrap();
    sleep(Duration::from_millis(50)).await;
    // It may still be executed when the server wakes.
    let error = provider.destroy(id, Some(seen.stamp())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    servers[2].process().resume().unwrap();
    let outcome = provider.destroy(id, None).await.unwrap();
    assert!(matches!(outcome, DestroyOutcome::Destroyed | DestroyOutcome::Absent));
    let late = over(&provider, id, &seen, "late").await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    assert!(provider.read(id, IDLE).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hanging_server_does_not_slow_the_others() {
    let (servers, provider, ids) = three().await;
    let (slow, quick): (Vec<_>, Vec<_>) = ids.iter().partition(|id| lies_on(&servers[0], id));
    servers[0].process().pause().unwrap();
    sleep(Duration::from_millis(50)).await;
    let (hanging, others) = tokio::join!(provider.read(slow[0], IDLE), async {
        let began = Instant::now();
        for id in &quick {
            assert!(provider.read(id, IDLE).await.unwrap().is_some());
        }
        began.elapsed()
    });
    assert_eq!(hanging.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(others < Duration::from_secs(20));
    servers[0].process().resume().unwrap();
    for id in &slow {
        assert!(provider.read(id, IDLE).await.unwrap().is_some(), "it has lost nothing");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn after_flush_all_the_sessions_are_not_found_and_no_late_write_brings_one_back() {
    let (servers, provider, ids) = three().await;
    let id = ids.iter().find(|id| lies_on(&servers[1], id)).unwrap();
    let seen = provider.read(id, IDLE).await.unwrap().unwrap();
    assert_eq!(ask(servers[1].process().address(), "flush_all").unwrap(), ["OK"]);
    // memcached compares whole seconds: items stored within this one may be flushed as well.
    sleep(Duration::from_millis(1_100)).await;
    let late = over(&provider, id, &seen, "late").await.unwrap();
    assert!(matches!(late, WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    assert!(matches!(provider.destroy(id, Some(seen.stamp())).await.unwrap(), DestroyOutcome::Absent));
    for id in &ids {
        let found = provider.read(id, IDLE).await.unwrap().is_some();
        assert_ne!(found, !lies_on(&servers[0], id) && !lies_on(&servers[2], id));
    }
    create(&provider, id, &session("new")).await.unwrap();
    assert_eq!(text(&provider.read(id, IDLE).await.unwrap().unwrap()), "new");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn with_all_servers_down_every_call_is_unavailable_and_all_recover() {
    let (servers, provider, ids) = three().await;
    for server in &servers {
        server.process().kill().unwrap();
    }
    for id in &ids {
        assert_eq!(provider.read(id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(provider.destroy(id, None).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(provider.exists(id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    for server in &servers {
        server.process().restart().unwrap();
    }
    for id in &ids {
        create(&provider, id, &session("again")).await.unwrap();
    }
}
