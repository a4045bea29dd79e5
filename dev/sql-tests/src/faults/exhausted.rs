//! No connection left, in the pool or on the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, Manager, Provider};

use crate::records::{MINUTE, id};
use crate::table::lock;
use crate::{Engine, Table};

pub async fn when_all_connections_are_in_use_callers_wait_and_end_at_their_deadline<E: Engine>() {
    let (table, _) = Table::<E>::start("exhausted").await;
    let sessions = table.connect(&["max_connections=2"]).await;
    let manager = Manager::builder(sessions).operation_timeout(Duration::from_millis(400)).build().unwrap();
    let session = manager.create();
    session.set("n", &0).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    // Two writers wait for a locked row, and hold both connections.
    let mut lock = lock::<E>(table.url(), table.name()).await;
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
    E::run(&mut lock, "COMMIT").await;
    assert!(manager.load(&token).await.unwrap().is_some(), "and then it goes on");
}

pub async fn a_server_without_a_free_connection_is_unavailable_until_it_has_one<E: Engine>() {
    let (server, sessions) = Table::<E>::private(E::DIALECT.few_connections).await;
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
    assert!(refused > 0, "the 16 connections of a pool do not fit");
    for _ in 0..20 {
        sessions.read(&id("a"), MINUTE).await.unwrap();
    }
    drop(server);
}
