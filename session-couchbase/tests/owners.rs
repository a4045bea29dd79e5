//! The index of owners: its commands, and what is left over by a crash. The server is CouchbaseMock.
#![allow(clippy::unwrap_used)] // the helpers are test code too
#![recursion_limit = "256"] // the SDK's futures are nested deeply

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, ManualClock, SystemClock};
use session_core::engine::{Condition, Indexed as _, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::Record;
use session_couchbase::CouchbaseProvider;
use session_servers::couchbase::CouchbaseMock;
use support::{IDLE, create, id, next, session};

const ADA: Owner = Owner([7; 32]);
const BOB: Owner = Owner([9; 32]);

fn owned(owner: Owner) -> Record {
    let mut record = session("one");
    record.header.owner = Some(owner);
    record
}

async fn ids(provider: &CouchbaseProvider, owner: &Owner) -> BTreeSet<StorageId> {
    let page = provider.list(owner, None, 100).await.unwrap();
    page.sessions.into_iter().map(|listed| listed.id).collect()
}

async fn replace(provider: &CouchbaseProvider, id: &StorageId, owner: Option<Owner>) {
    let seen = provider.read(id, IDLE).await.unwrap().unwrap();
    let mut record = next(&seen, "two");
    record.header.owner = owner;
    let outcome = provider.write(id, &record, Condition::Over(seen.stamp()), IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
}

/// An entry costs two commands, and none where the owner stays the same.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_entry_costs_two_round_trips_and_a_write_by_the_same_owner_none() {
    let server = CouchbaseMock::start().unwrap();
    let provider = CouchbaseProvider::connect(server.url().parse().unwrap()).await.unwrap();
    let mut before = server.counts().unwrap();
    let mut step = |what: &str, expected: &[(&str, u64)]| {
        let after = server.counts().unwrap();
        let added = after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)));
        let added: BTreeMap<_, _> = added.filter(|(_, count)| *count != 0).collect();
        let expected = expected.iter().map(|(name, count)| ((*name).to_owned(), *count));
        assert_eq!(added, expected.collect(), "{what}");
        before = after;
    };
    let first = id();
    create(&provider, &first, &owned(ADA)).await.unwrap();
    step("the first session: look, index, record", &[("GET", 1), ("ADD", 2)]);
    create(&provider, &id(), &owned(ADA)).await.unwrap();
    step("the second one", &[("GET", 1), ("REPLACE", 1), ("ADD", 1)]);
    create(&provider, &id(), &session("without an owner")).await.unwrap();
    step("without an owner", &[("ADD", 1)]);
    replace(&provider, &first, Some(ADA)).await;
    step("read and write by the same owner", &[("GET", 1), ("REPLACE", 1)]);
    replace(&provider, &first, Some(BOB)).await;
    step("another owner", &[("GET", 2), ("ADD", 1), ("REPLACE", 1)]);
    assert_eq!(ids(&provider, &ADA).await.len(), 1);
    step("a list of two entries", &[("GET", 3)]);
    assert_eq!(ids(&provider, &BOB).await, BTreeSet::from([first]));
}

/// Entries without a record are not listed, and removed when they are old enough.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn what_a_crash_leaves_over_is_not_listed_and_removed() {
    let server = CouchbaseMock::start().unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let provider = CouchbaseProvider::connect(server.url().parse().unwrap()).await.unwrap();
    let provider = provider.clock(Arc::new(clock.clone()));
    let mut stored = Vec::new();
    for _ in 0..6 {
        let id = id();
        let outcome = provider.write(&id, &owned(ADA), Condition::Absent, IDLE * 60).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
        stored.push(id);
    }
    // As after a crash: the entries are there, and their records are not.
    for id in &stored[1..] {
        provider.destroy(id, None).await.unwrap();
    }
    let gets = || server.counts().unwrap().get("GET").copied().unwrap_or(0);
    // Too young, then removed, then gone.
    for (age, looked_at) in [(0, 6), (301, 6), (0, 1)] {
        clock.advance(Duration::from_secs(age));
        let before = gets();
        assert_eq!(ids(&provider, &ADA).await, BTreeSet::from([stored[0].clone()]));
        assert_eq!(gets() - before, 1 + looked_at);
    }
    assert_eq!(provider.end_owner(&ADA, 10).await.unwrap(), 1);
}
