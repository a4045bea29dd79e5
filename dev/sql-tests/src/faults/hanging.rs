//! Servers that answer late or never.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::{ErrorKind, Provider};
use tokio::time::timeout;

use super::killed::warm_up;
use crate::records::{MINUTE, create, id, record, value};
use crate::{Engine, Server, Table, with};

pub async fn calls_to_a_hanging_server_time_out_and_later_ones_succeed<E: Engine>() {
    let (server, _) = Table::<E>::private(&[]).await;
    let sessions = Arc::new(E::connect(&with(&server.url(), &["connect_timeout=3s"])).await.unwrap());
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

pub async fn a_slow_connection_is_completed_across_callers_with_short_timeouts<E: Engine>() {
    let (proxy, url) = Table::<E>::url_behind_proxy("slow_connect").await;
    let sessions = E::connect_lazy(&url);
    // A handshake takes at least three answers, a first statement two: too long for one call, but
    // not for two.
    proxy.delay_answers(Duration::from_millis(200));
    let begun = Instant::now();
    while timeout(Duration::from_millis(550), sessions.exists(&id("a"))).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(15), "no caller ever gets a connection");
    }
    assert!(begun.elapsed() > Duration::from_millis(550), "one call was not enough");
}
