//! A partitioned network: the old master, on the clients' side, continues to act as master, while
//! the sentinels and the replica on the other side choose a new one. The client reaches both sides.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::time::{Duration, Instant};

use session_core::engine::{Condition, WriteOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use session_redis::{RedisConfig, RedisProvider};
use session_servers::redis::{Redis, Sentinels};
use support::{IDLE, config, id, session, stored};
use tokio::time::sleep;

/// Returns whether a server has the session.
fn is_on(server: &Redis, id: &StorageId) -> bool {
    server.cli(&["EXISTS", &format!("session:{}", id.to_text())]).unwrap().trim() == "1"
}

/// A configuration that connects to the first master without the proxy.
fn direct(set_up: &Sentinels) -> RedisConfig {
    let announced = set_up.announced_master().unwrap().to_string();
    let master = set_up.servers()[0].process().address().to_string();
    config(&set_up.url()).map_address(&announced, &master).unwrap()
}

/// Creates sessions until one is stored on `server`. Returns how long that took.
async fn until_written_to(server: &Redis, provider: &RedisProvider) -> Duration {
    let started = Instant::now();
    loop {
        let id = id();
        match provider.write(&id, &session(1), Condition::Absent, IDLE).await {
            Ok(WriteOutcome::Stored(_)) if is_on(server, &id) => return started.elapsed(),
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown),
                "{error:?}"
            ),
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the old master is still written to");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_master_that_was_cut_off_is_left_although_its_connection_lives() {
    a_cut_off_master_is_left(|config| config).await;
}

/// With RESP2, a sentinel cannot push: it is polled every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn a_master_that_was_cut_off_is_left_in_resp2() {
    a_cut_off_master_is_left(RedisConfig::resp2).await;
}

async fn a_cut_off_master_is_left(set: fn(RedisConfig) -> RedisConfig) {
    let set_up = Sentinels::start_with_a_divisible_network().unwrap();
    let [old, new] = set_up.servers() else { panic!("not two servers") };
    let provider = set(direct(&set_up)).connect().await.unwrap();
    let (before, _) = stored(&provider).await;
    old.wait_until_replicated().unwrap();
    assert!(is_on(old, &before) && is_on(new, &before));

    set_up.cut_off_master();
    set_up.wait_for_master(new).unwrap();
    assert!(old.cli(&["ROLE"]).unwrap().starts_with("master"), "the old master has not noticed");
    until_written_to(new, &provider).await;

    // A logout is acknowledged by the new master.
    provider.destroy(&before, None).await.unwrap();
    assert!(!is_on(new, &before));
    assert!(is_on(old, &before), "the old master was not notified");
    for _ in 0..20 {
        let (id, _) = stored(&provider).await;
        assert!(is_on(new, &id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn the_highest_epoch_decides_when_a_sentinel_was_cut_off_as_well() {
    let set_up = Sentinels::start_with_a_divisible_network().unwrap();
    let [_, new] = set_up.servers() else { panic!("not two servers") };
    let cut_off = &set_up.sentinels()[0];
    // It misses the failover, and returns with its old state.
    cut_off.pause().unwrap();
    set_up.cut_off_master();
    for sentinel in &set_up.sentinels()[1..] {
        wait_for_epoch(sentinel.port(), 1);
    }
    set_up.sentinels()[2].pause().unwrap();
    cut_off.resume().unwrap();
    // Two sentinels are asked: one names the old master, the other the new one.
    let provider = direct(&set_up).connect().await.unwrap();
    let (id, _) = stored(&provider).await;
    assert!(is_on(new, &id));
    set_up.sentinels()[2].resume().unwrap();
}

/// Waits until the config epoch of a sentinel is at least `epoch`.
fn wait_for_epoch(port: u16, epoch: u64) {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut question = redis::cmd("SENTINEL");
        question.arg("MASTER").arg("mymaster");
        let fields: Option<std::collections::HashMap<String, String>> =
            client.get_connection().and_then(|mut connection| question.query(&mut connection)).ok();
        let known = fields.and_then(|fields| fields.get("config-epoch")?.parse::<u64>().ok());
        if known.is_some_and(|known| known >= epoch) {
            return;
        }
        assert!(Instant::now() < deadline, "there was no failover");
        std::thread::sleep(Duration::from_millis(50));
    }
}
