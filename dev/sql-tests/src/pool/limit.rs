//! The limit holds although calls are cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::Provider;
use session_core::engine::Condition;
use tokio::time::{sleep, timeout};

use crate::records::{MINUTE, changed, create, id, record};
use crate::table::lock;
use crate::{Engine, Server, Table, ask, with};

/// A private server with the table, to which nothing is connected any more.
async fn without_connections<E: Engine>(settings: &[&str]) -> E::Server {
    let (server, sessions) = Table::<E>::private(settings).await;
    E::close(&sessions).await;
    session_conformance::eventually("no connection is left", async || {
        ask::<E>(&server.admin_url(), E::DIALECT.connections).await == ["0"]
    })
    .await;
    server
}

/// Twenty users whose calls are cancelled after a moment, while one row is locked. Returns the
/// largest number of connections on the server.
async fn most_connections<E: Engine>(server: &E::Server, sessions: Arc<E::Provider>) -> usize {
    let first = record("a");
    create(&*sessions, &id("a"), &first).await;
    let mut lock = lock::<E>(&server.admin_url(), "session").await;
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
        most = most.max(ask::<E>(&server.admin_url(), E::DIALECT.connections).await[0].parse().unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    go_on.store(false, Ordering::Relaxed);
    E::run(&mut lock, "COMMIT").await;
    for user in users {
        user.await.unwrap();
    }
    for _ in 0..20 {
        assert!(sessions.exists(&id("a")).await.unwrap(), "and then it goes on");
    }
    most
}

pub async fn cancelled_calls_never_open_more_connections_than_the_limit<E: Engine>() {
    let server = without_connections::<E>(&[]).await;
    let sessions = Arc::new(E::connect(&with(&server.url(), &["max_connections=4"])).await.unwrap());
    let most = most_connections::<E>(&server, Arc::clone(&sessions)).await;
    assert!((2..=4).contains(&most), "{most} connections");
    let status = E::pool_status(&sessions);
    assert_eq!(status.max, 4);
    session_conformance::eventually("every connection is free again", async || {
        let status = E::pool_status(&sessions);
        status.in_use == 0 && status.waiting == 0 && status.idle <= 4
    })
    .await;
    assert!(status.opened >= 1, "{status:?}");
}

pub async fn an_applications_pool_keeps_its_limit_too<E: Engine>() {
    let server = without_connections::<E>(E::DIALECT.short_lock_timeout).await;
    let sessions = Arc::new(E::with_pool(&server.url(), 4, "session").await);
    let most = most_connections::<E>(&server, Arc::clone(&sessions)).await;
    assert!((2..=E::DIALECT.most_of_a_pool_of_four).contains(&most), "{most} connections");
    assert_eq!(E::pool_status(&sessions).max, 4);
}
