//! A node that takes over its first slot is named in a redirect before it is in any client's slot
//! map.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::{Duration, Instant};

use session_core::Provider;
use session_servers::redis::{Cluster, Redis};
use support::{IDLE, connect, id, stored};

/// The node's name in the cluster.
fn name(node: &Redis) -> String {
    node.cli(&["CLUSTER", "MYID"]).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_master_without_slots_keeps_its_connection() {
    let cluster = Cluster::start().unwrap();
    let new = Redis::start_with(&["--cluster-enabled", "yes"]).unwrap();
    let first = &cluster.nodes()[0];
    let (port, bus) = (new.process().port().to_string(), new.process().place().port_at(1).to_string());
    first.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let all_know = || {
        let info = |node: &Redis| node.cli(&["CLUSTER", "INFO"]).unwrap();
        info(&new).contains("cluster_state:ok")
            && cluster.nodes()[..3].iter().all(|node| info(node).contains("cluster_known_nodes:7"))
    };
    while !all_know() {
        assert!(Instant::now() < deadline, "the node is not known to all");
        std::thread::sleep(Duration::from_millis(50));
    }

    let absent = id();
    let key = format!("session:{}", absent.to_text());
    let owner = cluster.owner(&key).unwrap();
    let slot = first.cli(&["CLUSTER", "KEYSLOT", &key]).unwrap().trim().to_owned();
    new.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &name(owner)]).unwrap();
    owner.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &name(&new)]).unwrap();

    let provider = connect(&cluster.url()).await;
    let received = || {
        let stats = new.cli(&["INFO", "stats"]).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = received();
    for _ in 0..30 {
        assert!(provider.read(&absent, IDLE).await.unwrap().is_none());
    }
    // The query for the statistics uses a connection, too.
    let connections = received() - before - 1;
    assert!((1..=2).contains(&connections), "{connections} connections for 30 reads");
    assert!(new.calls("asking").unwrap() >= 30, "the reads were not sent on");
    stored(&provider).await;
}
