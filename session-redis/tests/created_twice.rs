//! A create whose answer was lost and that the driver's cluster client sent again: it is stored
//! once and reported as stored.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use redis::cluster::ClusterClient;
use session_core::Manager;
use session_redis::RedisProvider;
use session_servers::redis::Cluster;
use support::proxied;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_create_that_the_cluster_client_resent_is_reported_as_stored() {
    let cluster = Cluster::start_behind_proxies().unwrap();
    let nodes = cluster.proxies().iter().map(proxied);
    let client = ClusterClient::builder(nodes).min_retry_wait(1).max_retry_wait(20).build().unwrap();
    let provider = RedisProvider::from_connection(client.get_async_connection().await.unwrap());
    let manager = Manager::builder(provider).operation_timeout(Duration::from_secs(5)).build().unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        for proxy in cluster.proxies() {
            proxy.lose_answers(1, b"SET");
        }
        let session = manager.create();
        session.set("user", "ada").unwrap();
        outcomes.push(session.release().await.map_err(|error| error.to_string()));
        for proxy in cluster.proxies() {
            proxy.lose_answers(0, b"");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:#?}");
}
