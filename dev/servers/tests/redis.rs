//! The private Redis set-ups come up, replace what is killed, and move what they are told to.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use session_servers::redis::{Cluster, Redis, Sentinels};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

fn wait_until(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so().unwrap() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn a_server_answers_forgets_and_comes_back() {
    for server in [Redis::start().unwrap(), Redis::start_valkey(&[]).unwrap()] {
        server.cli(&["SET", "key", "value"]).unwrap();
        assert_eq!(server.cli(&["GET", "key"]).unwrap().trim(), "value");
        assert_eq!(server.calls("get").unwrap(), 1);
        server.process().kill().unwrap();
        assert!(server.cli(&["PING"]).is_err());
        server.process().restart().unwrap();
        assert_eq!(server.cli(&["EXISTS", "key"]).unwrap().trim(), "0");
    }
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn valkey_is_no_redis_under_another_name() {
    let version = Redis::start_valkey(&[]).unwrap().cli(&["INFO", "server"]).unwrap();
    assert!(version.contains("valkey_version:"), "{version}");
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn a_cluster_moves_a_slot_and_replaces_a_master() {
    let cluster = Cluster::start().unwrap();
    let owner = cluster.owner("foo").unwrap();
    owner.cli(&["SET", "foo", "bar"]).unwrap();
    let other = cluster.nodes()[..3].iter().find(|node| node.url() != owner.url()).unwrap();
    // What CLUSTER KEYSLOT foo says.
    cluster.move_slot(12_182, owner, other).unwrap();
    assert_eq!(other.cli(&["GET", "foo"]).unwrap().trim(), "bar");
    other.wait_until_replicated().unwrap();
    other.process().kill().unwrap();
    wait_until("the replica has taken over", || {
        Ok(cluster.owner("foo").is_ok_and(|new| new.url() != other.url()))
    });
    assert_eq!(cluster.owner("foo").unwrap().cli(&["GET", "foo"]).unwrap().trim(), "bar");
}

#[test]
#[ignore = "needs a server: cargo xtask test"]
fn sentinels_replace_a_master() {
    let set_up = Sentinels::start().unwrap();
    let [master, replica] = set_up.servers() else { panic!("not two servers") };
    master.process().kill().unwrap();
    wait_until("the replica is the master", || Ok(replica.cli(&["ROLE"])?.starts_with("master")));
    set_up.wait_for_master(replica).unwrap();
}
