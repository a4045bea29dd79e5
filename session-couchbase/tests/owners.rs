//! The index of owners: its commands, and stale entries after a crash. The server is CouchbaseMock.
#![allow(clippy::unwrap_used)] // helpers are test code too
#![recursion_limit = "256"] // the SDK's futures are nested deeply

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use session_conformance::samples::{ADA, BOB, IDLE, create, id, ids, owned, replace, session};
use session_core::clock::{Clock as _, ManualClock, SystemClock};
use session_core::engine::{Condition, Indexed as _, WriteOutcome};
use session_core::entries::{KeepsEntries as _, OwnerEntries};
use session_core::{ErrorKind, Provider};
use session_couchbase::CouchbaseProvider;
use session_servers::couchbase::CouchbaseMock;

/// An entry costs two commands, and none if the owner stays the same.
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
    step("the first session: read the index, write it, write the record", &[("GET", 1), ("ADD", 2)]);
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

/// Entries without a record are not listed, and are removed once they are old enough.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn entries_left_by_a_crash_are_not_listed_and_are_removed() {
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
    // As after a crash: entries without records.
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

/// The error does not blame the new session, which is small.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_index_that_exceeds_a_document_is_too_many_sessions() {
    let server = CouchbaseMock::start().unwrap();
    let provider = CouchbaseProvider::connect(server.url().parse().unwrap()).await.unwrap();
    let mut bytes = vec![1];
    for number in 0..420_000_u32 {
        let mut id = [0; 33];
        id[1..5].copy_from_slice(&number.to_be_bytes());
        bytes.extend([0, 33]);
        bytes.extend(id);
        bytes.extend([0xFF; 16]);
    }
    let entries = OwnerEntries::decode(&bytes).unwrap();
    let error = provider.store_entries(&ADA, &entries, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManySessions, "{error}");
}
