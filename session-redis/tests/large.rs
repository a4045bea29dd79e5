//! Large records, which are written under a separate key and then renamed.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use session_core::engine::{Condition, WriteOutcome};
use session_core::record::{Body, Record, Value};
use session_core::{ErrorKind, Provider};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::{Cluster, Redis};
use support::{IDLE, config, connect, next, proxied, stored};

/// The next record of a session, with a value of the given size.
fn large(record: &Record, size: usize) -> Record {
    let mut body = Body::default();
    body.insert("text", Value::encode(&"x".repeat(size)).unwrap());
    Record::new(record.header.next(), body)
}

fn size(record: &Record) -> usize {
    record.body.get("text").unwrap().decode::<String>().unwrap().len()
}

const SIZES: [usize; 4] = [1_000, 4_096, 65_536, 1_000_000];

/// Writes records of all sizes over each other, and over versions that no longer exist.
async fn writes_all_sizes(provider: &RedisProvider) {
    let (id, mut current) = stored(provider).await;
    for bytes in SIZES {
        let stale = current.stamp();
        let next = large(&current, bytes);
        let outcome = provider.write(&id, &next, Condition::Over(stale), IDLE).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Stored(_)), "{bytes}: {outcome:?}");
        assert_eq!(size(&provider.read(&id, IDLE).await.unwrap().unwrap()), bytes);
        let late = large(&next, bytes);
        let outcome = provider.write(&id, &late, Condition::Over(stale), IDLE).await.unwrap();
        let WriteOutcome::Refused(refusal) = outcome else { panic!("{bytes}: written over another version") };
        assert_eq!(refusal.current.unwrap().stamp(), next.stamp(), "{bytes}");
        current = next;
    }
    provider.destroy(&id, None).await.unwrap();
    let gone = provider.write(&id, &large(&current, 65_536), Condition::Over(current.stamp()), IDLE).await;
    assert!(matches!(gone.unwrap(), WriteOutcome::Refused(refusal) if refusal.current.is_none()));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_record_is_written_in_one_round_trip_and_leaves_nothing_behind() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    writes_all_sizes(&provider).await;
    assert_eq!(server.cli(&["DBSIZE"]).unwrap().trim(), "0");

    let (id, first) = stored(&provider).await;
    let second = large(&first, 65_536);
    let (trips, renames) = (proxy.counts(), server.calls("rename").unwrap());
    provider.write(&id, &second, Condition::Over(first.stamp()), IDLE).await.unwrap();
    assert_eq!((proxy.counts() - trips).round_trips, 1);
    assert_eq!(server.calls("rename").unwrap() - renames, 1);
    // It has the right time to live, and is the only key.
    let key = format!("session:{}", id.to_text());
    let ttl: i64 = server.cli(&["PTTL", &key]).unwrap().trim().parse().unwrap();
    assert!((1_700_000..=1_800_000).contains(&ttl), "{ttl}");
    assert_eq!(server.cli(&["DBSIZE"]).unwrap().trim(), "1");

    // The server has lost its scripts.
    server.cli(&["SCRIPT", "FLUSH"]).unwrap();
    let third = large(&second, 65_536);
    let outcome = provider.write(&id, &third, Condition::Over(second.stamp()), IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn redis_6_2_valkey_and_a_cluster_take_large_records() {
    let old = Redis::start_6_2(&[]).unwrap();
    writes_all_sizes(&connect(&old.url()).await).await;
    let valkey = Redis::start_valkey(&[]).unwrap();
    writes_all_sizes(&connect(&valkey.url()).await).await;
    let cluster = Cluster::start().unwrap();
    writes_all_sizes(&connect(&cluster.url()).await).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_user_without_rename_writes_large_records_through_the_script() {
    for server in [Redis::start().unwrap(), Redis::start_6_2(&[]).unwrap(), Redis::start_valkey(&[]).unwrap()]
    {
        server.cli(&["ACL", "SETUSER", "app", "on", ">secret", "~session:*", "+@all", "-rename"]).unwrap();
        let provider = connect(&format!("redis://app:secret@{}", server.process().address())).await;
        writes_all_sizes(&provider).await;
        assert_eq!(server.cli(&["DBSIZE"]).unwrap().trim(), "0");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_write_also_leaves_a_replica() {
    let master = Redis::start().unwrap();
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = connect(&proxied(&proxy)).await;
    let (id, first) = stored(&provider).await;
    server.cli(&["REPLICAOF", "127.0.0.1", &master.process().port().to_string()]).unwrap();
    let write = provider.write(&id, &large(&first, 65_536), Condition::Over(first.stamp()), IDLE).await;
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Unavailable);
    server.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let before = proxy.counts();
    stored(&provider).await;
    assert_eq!((proxy.counts() - before).connections, 1, "it was not connected to again");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_record_that_does_not_fit_changes_nothing() {
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let (id, first) = stored(&provider).await;
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"]).unwrap();
    let write = provider.write(&id, &large(&first, 65_536), Condition::Over(first.stamp()), IDLE).await;
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Full);
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(provider.read(&id, IDLE).await.unwrap().unwrap().stamp(), first.stamp());
    assert_eq!(server.cli(&["DBSIZE"]).unwrap().trim(), "1");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_write_whose_answer_was_lost_is_of_unknown_outcome_and_recognized() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let provider = config(&proxied(&proxy)).connect().await.unwrap();
    let (id, first) = stored(&provider).await;
    let second = large(&first, 3_000);
    for keep in [0, 5, 7] {
        proxy.cut_answers_short(1, b"SET", keep);
        let write = provider.write(&id, &second, Condition::Over(first.stamp()), IDLE).await;
        let kind = write.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::OutcomeUnknown, "{keep} bytes");
    }
    let again = provider.write(&id, &second, Condition::Over(first.stamp()), IDLE).await.unwrap();
    let echo = match again {
        WriteOutcome::Stored(_) => true,
        WriteOutcome::Refused(refusal) => refusal.current.unwrap().stamp() == second.stamp(),
    };
    assert!(echo);
    let third = next(&second, 3);
    let outcome = provider.write(&id, &third, Condition::Over(second.stamp()), IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)));
}
