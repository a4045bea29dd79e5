//! Attempts to connect to a server that refuses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, Provider};
use sqlx::Connection;

use crate::records::id;
use crate::{Engine, Server, Table, behind_proxy, with};

pub async fn a_full_server_is_rarely_retried<E: Engine>() {
    let (server, sessions) = Table::<E>::private(E::DIALECT.few_connections).await;
    E::close(&sessions).await;
    let mut taken = Vec::new();
    while let Ok(connection) = E::Connection::connect(&server.url()).await {
        taken.push(connection);
    }
    let (proxy, url) = behind_proxy(&server.url());
    let sessions = Arc::new(E::connect_lazy(&with(&url, &[E::DIALECT.without_tls])));
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
    assert_eq!(E::pool_status(&sessions).failed, attempts);
    drop(taken);
    assert!(!sessions.exists(&id("a")).await.unwrap(), "it recovers");
}
