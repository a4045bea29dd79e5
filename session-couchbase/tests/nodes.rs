//! Several nodes, of which one is down, hangs, or is failed over. The server is CouchbaseMock with
//! three nodes.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::time::{Duration, Instant};

use session_conformance::samples::{IDLE, create, id, over, session, text};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider};
use session_servers::couchbase::CouchbaseMock;
use session_servers::proxy::Proxy;

/// Enough that every node has some of them; their ids are random.
const SESSIONS: usize = 48;

/// Three nodes, each behind a proxy that its clients keep using.
struct Cluster {
    server: CouchbaseMock,
    proxies: Vec<Proxy>,
}

impl Cluster {
    fn start() -> Self {
        let server = CouchbaseMock::start_nodes(3).unwrap();
        let nodes = server.nodes().unwrap();
        let proxies: Vec<_> = nodes.iter().map(|node| Proxy::start(*node).unwrap()).collect();
        for (node, proxy) in nodes.iter().zip(&proxies) {
            server.advertise_for(*node, proxy.address()).unwrap();
        }
        Self { server, proxies }
    }

    /// The hosts of these nodes, in this order.
    async fn connect(&self, nodes: &[usize]) -> session_core::Result<CouchbaseProvider> {
        let hosts: Vec<_> = nodes.iter().map(|node| self.proxies[*node].address().to_string()).collect();
        let url = format!("couchbase://session:session@{}/session?timeout=700ms", hosts.join(","));
        CouchbaseProvider::connect(url.parse::<CouchbaseConfig>().unwrap()).await
    }

    fn take_down(&self, node: usize) {
        self.proxies[node].refuse();
        self.proxies[node].cut();
    }
}

async fn sessions(provider: &CouchbaseProvider) -> Vec<StorageId> {
    let ids: Vec<_> = (0..SESSIONS).map(|_| id()).collect();
    for id in &ids {
        create(provider, id, &session("x")).await.unwrap();
    }
    ids
}

/// The numbers of found and of unavailable sessions.
async fn found(provider: &CouchbaseProvider, ids: &[StorageId]) -> (usize, usize) {
    let (mut found, mut unavailable) = (0, 0);
    for id in ids {
        match provider.read(id, IDLE).await {
            Ok(record) => found += usize::from(record.is_some()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                unavailable += 1;
            }
        }
    }
    (found, unavailable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn with_one_node_down_only_its_own_sessions_are_unavailable_until_it_returns() {
    let cluster = Cluster::start();
    let provider = cluster.connect(&[0, 1, 2]).await.unwrap();
    let ids = sessions(&provider).await;
    assert_eq!(found(&provider, &ids).await, (SESSIONS, 0));

    cluster.take_down(1);
    let began = Instant::now();
    let (there, unavailable) = found(&provider, &ids).await;
    assert_eq!(there + unavailable, SESSIONS, "none is reported missing");
    assert!(there > 0 && unavailable > 0, "{there} there, {unavailable} unavailable");
    assert!(began.elapsed() < Duration::from_secs(60));
    let mut outcomes = (0, 0);
    for id in &ids {
        match create(&provider, &session_conformance::samples::id(), &session("new")).await {
            Ok(()) => outcomes.0 += 1,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown),
                    "{error:?}"
                );
                assert!(!format!("{error:?}").contains(&id.to_text()));
                outcomes.1 += 1;
            }
        }
    }
    assert!(outcomes.0 > 0 && outcomes.1 > 0, "{outcomes:?}");

    cluster.proxies[1].accept().unwrap();
    let began = Instant::now();
    while found(&provider, &ids).await != (SESSIONS, 0) {
        assert!(began.elapsed() < Duration::from_secs(60), "no recovery in time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn after_a_failover_every_session_can_be_read_and_written_again() {
    let cluster = Cluster::start();
    let provider = cluster.connect(&[0, 1, 2]).await.unwrap();
    let ids = sessions(&provider).await;
    cluster.server.fail_over(1).unwrap();
    let began = Instant::now();
    let there = loop {
        match found(&provider, &ids).await {
            (there, 0) => break there,
            _ => assert!(began.elapsed() < Duration::from_secs(60), "no recovery in time"),
        }
    };
    assert_eq!(there, SESSIONS, "each was on a replica");
    for id in &ids {
        match provider.read(id, IDLE).await.unwrap() {
            Some(seen) => over(&provider, id, &seen, "after").await.map(drop).unwrap(),
            None => create(&provider, id, &session("after")).await.unwrap(),
        }
        assert_eq!(text(&provider.read(id, IDLE).await.unwrap().unwrap()), "after");
    }
}
