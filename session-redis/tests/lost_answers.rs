//! An acknowledged write is applied exactly once, and a write of unknown outcome at most once.
//! Tested with answers that are lost on the network while another process writes to the same
//! session.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Client;
use redis::cluster::ClusterClient;
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::Token;
use session_core::{ErrorKind, Manager, Provider};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::{Cluster, Redis};
use support::{IDLE, connect, count, counter, increment, manager, next, proxied, stored};

/// The outcomes of increments.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    acknowledged: u64,
    unknown: u64,
}

/// Increments until the test stops it.
async fn keep_incrementing(manager: Manager, token: Token, stop: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        match increment(&manager, &token).await {
            Ok(()) => tally.acknowledged += 1,
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown => tally.unknown += 1,
                ErrorKind::Unavailable | ErrorKind::Conflict => {}
                kind => panic!("{kind:?}: {error:?}"),
            },
        }
    }
    tally
}

const DEADLINE: Duration = Duration::from_secs(5);

/// Four tasks in two "processes" increment one counter while answers to the scripts are lost.
async fn lose_answers_while_others_write(managers: [Manager; 2], proxies: &[Proxy]) {
    lose_answers(managers, proxies, b"EVALSHA").await;
}

/// The same for the answers to writes that contain these bytes.
async fn lose_answers(managers: [Manager; 2], proxies: &[Proxy], to: &[u8]) {
    let token = counter(&managers[0]).await;
    increment(&managers[0], &token).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|index| {
            let writer = keep_incrementing(managers[index % 2].clone(), token.clone(), Arc::clone(&stop));
            tokio::spawn(writer)
        })
        .collect();
    let mut lost = 0;
    for _ in 0..40 {
        for proxy in proxies {
            proxy.lose_answers(1, to);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        lost += proxies.iter().filter(|proxy| proxy.answers_to_lose() == 0).count();
        for proxy in proxies {
            proxy.lose_answers(0, b"");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut unknown) = (1, 0);
    for writer in writers {
        let tally = writer.await.unwrap();
        acknowledged += tally.acknowledged;
        unknown += tally.unknown;
    }
    let counted = count(&managers[1], &token).await;
    eprintln!("{lost} answers lost; {acknowledged} acknowledged, {unknown} unknown, {counted} counted");
    assert!(lost >= 20 && acknowledged >= 30, "{lost} answers lost, {acknowledged} acknowledged");
    assert!((acknowledged..=acknowledged + unknown).contains(&counted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_write_counts_twice_when_answers_are_lost() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let through = proxied(&proxy);
    let managers = [manager(&through, DEADLINE).await, manager(&server.url(), DEADLINE).await];
    lose_answers_while_others_write(managers, &[proxy]).await;
}

/// One process compares digests, the other versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_write_counts_twice_when_the_processes_compare_in_two_ways() {
    let server = Redis::start_8_6(&[]).unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let client = Client::open(server.url()).unwrap();
    let by_version = RedisProvider::from_connection(client.get_multiplexed_async_connection().await.unwrap());
    let by_version = Manager::builder(by_version).operation_timeout(DEADLINE).build().unwrap();
    let managers = [manager(&proxied(&proxy), DEADLINE).await, by_version];
    lose_answers(managers, &[proxy], b"IFDEQ").await;
    assert!(server.calls("evalsha").unwrap() > 20, "the other process calls the script");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_write_counts_twice_when_a_clusters_answers_are_lost() {
    let cluster = Cluster::start_behind_proxies().unwrap();
    let managers = [manager(&cluster.url(), DEADLINE).await, manager(&cluster.url(), DEADLINE).await];
    lose_answers_while_others_write(managers, cluster.proxies()).await;
}

/// The driver's own cluster client resends every unanswered command, up to 16 times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_write_counts_twice_when_the_driver_sends_it_again() {
    let cluster = Cluster::start_behind_proxies().unwrap();
    let nodes = cluster.proxies().iter().map(proxied);
    let client = ClusterClient::builder(nodes).min_retry_wait(1).max_retry_wait(20).build().unwrap();
    let own = async || {
        let provider = RedisProvider::from_connection(client.get_async_connection().await.unwrap());
        Manager::builder(provider).operation_timeout(DEADLINE).build().unwrap()
    };
    lose_answers_while_others_write([own().await, own().await], cluster.proxies()).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_write_whose_answer_was_lost_is_recognized_after_up_to_seven_others() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let ours = connect(&proxied(&proxy)).await;
    let theirs = connect(&server.url()).await;
    let (id, first) = stored(&ours).await;
    let warm = next(&first, 2);
    ours.write(&id, &warm, Condition::Over(first.stamp()), IDLE).await.unwrap();

    proxy.lose_answers(1, b"EVALSHA");
    let lost = next(&warm, 3);
    let over = Condition::Over(warm.stamp());
    assert_eq!(ours.write(&id, &lost, over, IDLE).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let mut newest = lost.clone();
    for others in 0..=8 {
        let echo = ours.write(&id, &lost, over, IDLE).await.unwrap();
        let WriteOutcome::Refused(refusal) = echo else { panic!("applied twice: {echo:?}") };
        let shown = refusal.current.unwrap().header.has_version(lost.header.version());
        assert_eq!(shown, others <= 7, "after {others} others");
        let another = next(&newest, 100 + others);
        let stored = theirs.write(&id, &another, Condition::Over(newest.stamp()), IDLE).await.unwrap();
        assert!(matches!(stored, WriteOutcome::Stored(_)), "the echo has changed something");
        newest = another;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_create_and_a_destroy_whose_answers_are_lost_are_of_unknown_outcome() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, record) = (support::id(), support::session(1));
    proxy.lose_answers(1, b"SET");
    let create = provider.write(&id, &record, Condition::Absent, IDLE).await;
    assert_eq!(create.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let again = provider.write(&id, &record, Condition::Absent, IDLE).await.unwrap();
    let WriteOutcome::Refused(refusal) = again else { panic!("{again:?}") };
    assert_eq!(refusal.current.unwrap().stamp(), record.stamp(), "the refusal shows whose record it is");

    let _ = provider.destroy(&support::id(), None).await.unwrap();
    proxy.lose_answers(1, b"EVALSHA");
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert!(!provider.exists(&id).await.unwrap());
}

/// An incomplete answer of any length is never taken for a refusal, nor for "not found".
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_answer_that_was_cut_off_is_of_unknown_outcome() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, record) = stored(&provider).await;
    let (stale, second) = (support::session(9), next(&record, 2));
    // From here on, the server knows the script.
    provider.write(&id, &second, Condition::Over(stale.stamp()), IDLE).await.unwrap();
    for keep in [0, 1, 2, 3, 4, 5, 6, 50, 100] {
        proxy.cut_answers_short(1, b"SET", keep);
        let create = provider.write(&id, &stale, Condition::Absent, IDLE).await;
        assert_eq!(create.unwrap_err().kind(), ErrorKind::OutcomeUnknown, "create, {keep} bytes");
        proxy.cut_answers_short(1, b"EVALSHA", keep);
        let write = provider.write(&id, &second, Condition::Over(stale.stamp()), IDLE).await;
        assert_eq!(write.unwrap_err().kind(), ErrorKind::OutcomeUnknown, "write, {keep} bytes");
        proxy.cut_answers_short(1, b"EVALSHA", keep);
        let destroy = provider.destroy(&id, Some(stale.stamp())).await;
        assert_eq!(destroy.unwrap_err().kind(), ErrorKind::OutcomeUnknown, "destroy, {keep} bytes");
        proxy.cut_answers_short(1, b"GETEX", keep);
        let read = provider.read(&id, IDLE).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable, "read, {keep} bytes");
    }
    assert_eq!(
        provider.read(&id, IDLE).await.unwrap().unwrap().stamp(),
        record.stamp(),
        "nothing was applied"
    );
}
