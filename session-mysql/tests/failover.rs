//! Servers that cannot accept writes are avoided: replicas, cluster nodes that are not ready.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use session_core::engine::Condition;
use session_core::{ErrorKind, Provider};
use session_servers::mariadb::MariaDb;
use session_servers::ports;
use sqlx::{Connection, MySqlConnection};
use support::*;

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_becomes_read_only_is_unavailable_until_it_takes_writes() {
    let (server, sessions) = start_private(&[]).await;
    let admin = server.admin_url();
    let first = record("a");
    create(&sessions, &id("a"), &first).await;
    sql(&admin, "SET GLOBAL read_only = 1").await;
    for _ in 0..3 {
        let second = changed(&first, "b");
        let over = Condition::Over(first.stamp());
        let error = sessions.write(&id("a"), &second, over, MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    sql(&admin, "SET GLOBAL read_only = 0").await;
    assert!(is_stored(&replace(&sessions, &id("a"), &first, &changed(&first, "b")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_first_of_several_servers_that_takes_writes_is_used() {
    let ((one, _), (two, sessions)) = (start_private(&[]).await, start_private(&[]).await);
    create(&sessions, &id("a"), &record("on two")).await;
    sql(&one.admin_url(), "SET GLOBAL read_only = 1").await;
    let (first, second) = (one.process().port(), two.process().port());
    let places = format!("127.0.0.1:1,127.0.0.1:{first},127.0.0.1:{second}");
    let sessions = connect(&format!("mysql://session:session@{places}/session")).await;
    assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "on two");
}

/// One node of a cluster, which refuses statements like a node that has lost the others.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_node_of_a_cluster_that_is_not_ready_is_left() {
    let provider = "/usr/lib/galera/libgalera_smm.so";
    assert!(std::path::Path::new(provider).exists(), "the tests need galera-4, which mariadb-server brings");
    let port = ports::Port::reserve().unwrap();
    let listen = format!("gmcast.listen_addr=tcp://127.0.0.1:{};ist.recv_bind=127.0.0.1", port.number());
    let options = [
        "--wsrep-on=1".to_owned(),
        format!("--wsrep-provider={provider}"),
        format!("--wsrep-provider-options={listen}"),
        "--wsrep-cluster-address=gcomm://".to_owned(),
        "--wsrep-node-address=127.0.0.1".to_owned(),
        "--binlog-format=ROW".to_owned(),
    ];
    let node = MariaDb::start_with(&options.each_ref().map(String::as_str)).unwrap();
    let sessions = connect(&format!("{}?migrate=true", node.url())).await;
    a_life(&sessions, 1).await;
    create(&sessions, &id("a"), &record("a")).await;
    let mut admin = MySqlConnection::connect(&node.admin_url()).await.unwrap();
    sqlx::raw_sql("SET GLOBAL wsrep_reject_queries = ALL").execute(&mut admin).await.unwrap();
    for _ in 0..3 {
        let error = sessions.read(&id("a"), MINUTE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("not ready"), "{error}");
        assert_eq!(sessions.pool_status().idle, 0, "the connection is not kept");
    }
    sqlx::raw_sql("SET GLOBAL wsrep_reject_queries = NONE").execute(&mut admin).await.unwrap();
    assert_eq!(value(&sessions.read(&id("a"), MINUTE).await.unwrap().unwrap()), "a");
}
