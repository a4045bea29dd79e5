//! The index of owners: its commands, stale entries after a crash, and restored entries after an
//! eviction.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_conformance::samples::{ADA, BOB, IDLE, create, id, ids, owned, replace, session};
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, ManualClock, SystemClock};
use session_core::engine::{Condition, Indexed as _, WriteOutcome};
use session_core::id::StorageId;
use session_core::{ErrorKind, Provider};
use session_memcache::{MemcacheConfig, MemcacheProvider};
use session_servers::memcached::{Memcached, ask};
use session_servers::proxy::Proxy;
use tokio::time::sleep;

fn provider(server: &Memcached) -> MemcacheProvider {
    MemcacheProvider::new(&server.url().parse().unwrap())
}

/// Evicts the item like a full server.
fn evict_index(server: &Memcached, owner: &Owner) {
    let key = format!("session:owner~{}", StorageId::from_hash(owner.0).to_text());
    assert_eq!(ask(server.process().address(), &format!("delete {key}")).unwrap(), ["DELETED"]);
}

/// Waits for the background work.
async fn is_listed_again(provider: &MemcacheProvider, owner: &Owner, id: &StorageId) {
    for _ in 0..600 {
        if ids(provider, owner).await.contains(id) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the session is not listed");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_entry_costs_two_round_trips_and_a_write_by_the_same_owner_none() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let config = MemcacheConfig::new([proxy.address().to_string()]).unwrap();
    let provider = MemcacheProvider::connect(&config).await.unwrap();
    let mut before = proxy.counts();
    let mut step = |what: &str, trips: u64| {
        assert_eq!((proxy.counts() - before).round_trips, trips, "{what}");
        before = proxy.counts();
    };
    let first = id();
    create(&provider, &first, &owned(ADA)).await.unwrap();
    step("the first session: read the index, write it, write the record", 3);
    create(&provider, &id(), &owned(ADA)).await.unwrap();
    step("the second one", 3);
    create(&provider, &id(), &session("without an owner")).await.unwrap();
    step("without an owner", 1);
    provider.read(&first, IDLE).await.unwrap().unwrap();
    step("a read", 1);
    replace(&provider, &first, Some(ADA)).await;
    step("read and write by the same owner", 2);
    replace(&provider, &first, Some(BOB)).await;
    step("another owner", 4);
    assert_eq!(ids(&provider, &ADA).await.len(), 1);
    step("a list of two entries", 3);
    assert_eq!(ids(&provider, &BOB).await, BTreeSet::from([first]));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_that_is_used_again_is_listed_again() {
    let server = Memcached::start().unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let provider = provider(&server).clock(Arc::new(clock.clone()));
    let another = self::provider(&server);
    let id = id();
    create(&provider, &id, &owned(ADA)).await.unwrap();
    evict_index(&server, &ADA);
    assert!(ids(&provider, &ADA).await.is_empty());

    // The process that wrote it checks again after a minute.
    clock.advance(Duration::from_secs(60));
    provider.read(&id, IDLE * 60).await.unwrap().unwrap();
    is_listed_again(&provider, &ADA, &id).await;

    // A process that has not seen it checks at once; a later write by the owner needs no check.
    evict_index(&server, &ADA);
    another.read(&id, IDLE * 60).await.unwrap().unwrap();
    is_listed_again(&another, &ADA, &id).await;
    assert_eq!(provider.end_owner(&ADA, 10).await.unwrap(), 1);
    assert!(another.read(&id, IDLE).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_entry_of_a_session_in_use_is_checked_once_a_minute() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let config = MemcacheConfig::new([proxy.address().to_string()]).unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let provider = MemcacheProvider::new(&config).clock(Arc::new(clock.clone()));
    let id = id();
    create(&provider, &id, &owned(ADA)).await.unwrap();
    let before = proxy.counts();
    // Five minutes with a read every ten seconds.
    for _ in 0..30 {
        clock.advance(Duration::from_secs(10));
        provider.read(&id, IDLE * 60).await.unwrap().unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..600 {
        if (proxy.counts() - before).round_trips >= 35 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((proxy.counts() - before).round_trips, 30 + 5);
}

/// Entries without a record are not listed, and are removed once they are old enough.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn entries_left_by_a_crash_are_not_listed_and_are_removed() {
    let server = Memcached::start().unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let provider = provider(&server).clock(Arc::new(clock.clone()));
    let mut stored = Vec::new();
    for _ in 0..6 {
        let id = id();
        let outcome = provider.write(&id, &owned(ADA), Condition::Absent, IDLE * 60).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
        stored.push(id);
    }
    // As after a crash: entries without records.
    for id in &stored[1..] {
        provider.destroy(id, None).await.unwrap();
    }
    let gets = || server.stats().unwrap()["cmd_get"];
    // Too young, then removed, then gone.
    for (age, looked_at) in [(0, 6), (301, 6), (0, 1)] {
        clock.advance(Duration::from_secs(age));
        let before = gets();
        assert_eq!(ids(&provider, &ADA).await, BTreeSet::from([stored[0].clone()]));
        assert_eq!(gets() - before, 1 + looked_at);
    }
    assert_eq!(provider.end_owner(&ADA, 10).await.unwrap(), 1);
}

/// An item is full at this number of entries; those of ended sessions are removed first.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_full_list_refuses_the_next_session_and_loses_none() {
    let server = Memcached::start().unwrap();
    let config = server.url().parse::<MemcacheConfig>().unwrap().item_max(2_048).unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let provider = MemcacheProvider::new(&config).clock(Arc::new(clock.clone()));
    let store = async || {
        let id = id();
        let stored = provider.write(&id, &owned(ADA), Condition::Absent, IDLE * 60).await;
        stored.map(|outcome| (id, outcome))
    };
    let mut stored = BTreeSet::new();
    let error = loop {
        match store().await {
            Ok((id, outcome)) => {
                assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
                stored.insert(id);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooManySessions);
    assert!(stored.len() > 30, "{}", stored.len());
    assert_eq!(ids(&provider, &ADA).await, stored);
    let ended = stored.pop_first().unwrap();
    provider.destroy(&ended, None).await.unwrap();
    clock.advance(Duration::from_secs(301));
    assert_eq!(ids(&provider, &ADA).await, stored);
    stored.insert(store().await.unwrap().0);
    assert_eq!(ids(&provider, &ADA).await, stored);
}
