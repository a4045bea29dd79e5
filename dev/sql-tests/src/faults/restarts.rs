//! A server that stops and starts under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_core::id::Token;
use session_core::{Error, ErrorKind, Manager};
use tokio::time::sleep;

use crate::{Engine, Server, Table};

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
                .map_err(|kind| Error::new(kind, "lost"))?;
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

pub async fn a_server_that_restarts_under_load_loses_no_acknowledged_write_and_doubles_none<E: Engine>() {
    let (server, sessions) = Table::<E>::private(&[]).await;
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
