//! The pool of the driver, which an application may pass.

use std::time::Duration;

use session_core::Provider;
use tokio::time::sleep;

use super::a_life;
use crate::records::{MINUTE, hashed};
use crate::{Engine, Table, behind_proxy, with};

/// The reason for a separate pool; if this fails because `sqlx` stops pinging, that pool can be
/// removed.
pub async fn the_drivers_own_pool_works_and_costs_pings<E: Engine>() {
    let (table, _) = Table::<E>::start("round_trips_given_pool").await;
    let (proxy, url) = behind_proxy(table.url());
    let url = with(&url, &[E::DIALECT.without_tls]);
    let sessions = E::with_pool(&url, 10, table.name()).await;
    a_life(&sessions, &proxy, 1).await;
    sleep(Duration::from_millis(100)).await;
    let before = proxy.counts().round_trips;
    for _ in 0..10 {
        sessions.read(&hashed(99), MINUTE).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let trips = proxy.counts().round_trips - before;
    assert!(trips > 10, "{trips} round trips for 10 reads");
}
