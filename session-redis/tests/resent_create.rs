//! A create whose answer was lost and that the driver's cluster client resent.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::Duration;

use redis::cluster::ClusterClient;
use session_core::Provider;
use session_core::engine::{Condition, WriteOutcome};
use session_redis::RedisProvider;
use session_servers::redis::Cluster;
use support::{IDLE, id, proxied, session};

fn lose(cluster: &Cluster, answers: usize) {
    for proxy in cluster.proxies() {
        proxy.lose_answers(answers, b"SET");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_refused_create_shows_what_is_stored_and_that_it_may_have_been_sent_again() {
    let cluster = Cluster::start_behind_proxies().unwrap();
    let nodes = cluster.proxies().iter().map(proxied);
    let client = ClusterClient::builder(nodes).min_retry_wait(1).max_retry_wait(20).build().unwrap();
    let provider = RedisProvider::from_connection(client.get_async_connection().await.unwrap());
    for _ in 0..5 {
        lose(&cluster, 1);
        let (id, record) = (id(), session(1));
        let outcome = provider.write(&id, &record, Condition::Absent, IDLE).await.unwrap();
        lose(&cluster, 0);
        let WriteOutcome::Refused(refusal) = outcome else { panic!("it was not sent again: {outcome:?}") };
        assert!(refusal.resent);
        assert_eq!(refusal.current.unwrap().stamp(), record.stamp(), "it is this very write");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
