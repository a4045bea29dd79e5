//! The owner index and the scan of all records, tested on the provider.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::{Condition, Listed, OwnerIndex, Page, Rename, end_listed};
use session_core::id::StorageId;
use session_core::record::{Header, Record, State};

use crate::{Context, LONG, is_stored, side_by_side, value_of};

/// An owner that no other test uses.
pub(super) fn somebody(context: &Context) -> (String, Owner) {
    let name = format!("user-{}", context.id().to_text());
    let owner = Owner::of(&name);
    (name, owner)
}

/// Returns whether the engine lists the sessions of an owner.
pub(super) fn lists(context: &Context) -> bool {
    context.capabilities().owner_index.lists()
}

/// Every session of an owner, in pages of `limit`.
async fn all(provider: &Arc<dyn Provider>, owner: &Owner, limit: usize) -> Vec<Listed> {
    let engine = provider.as_indexed().expect("the declared index");
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = engine.list(owner, after.as_ref(), limit).await.expect("a list");
        assert!(page.sessions.len() <= limit, "a page of {limit} has {}", page.sessions.len());
        found.extend(page.sessions);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn ids(provider: &Arc<dyn Provider>, owner: &Owner) -> BTreeSet<StorageId> {
    all(provider, owner, 100).await.into_iter().map(|listed| listed.id).collect()
}

fn owned(context: &Context, owner: Owner, value: &str) -> Record {
    let mut record = context.record(value, LONG);
    record.header.owner = Some(owner);
    record
}

async fn store(context: &Context, record: &Record) -> StorageId {
    let id = context.id();
    let outcome = context.provider().write(&id, record, Condition::Absent, LONG).await;
    assert!(is_stored(&outcome), "{outcome:?}");
    id
}

/// The declared methods exist, and no others.
pub async fn an_engine_has_the_index_that_it_declares(context: Context) {
    let provider = context.provider();
    assert_eq!(provider.as_indexed().is_some(), context.capabilities().owner_index != OwnerIndex::None);
}

/// Pages of any size return each session of the owner once, as stored, and no other.
pub async fn a_list_has_each_session_of_its_owner_once(context: Context) {
    if !lists(&context) {
        return;
    }
    let provider = context.provider();
    let ((_, ada), (_, bob)) = (somebody(&context), somebody(&context));
    assert!(all(&provider, &ada, 10).await.is_empty(), "an unknown owner has no sessions");
    let mut stored = BTreeSet::new();
    for number in 0..13 {
        stored.insert(store(&context, &owned(&context, ada, &number.to_string())).await);
        store(&context, &owned(&context, bob, "other")).await;
        store(&context, &context.record("without an owner", LONG)).await;
    }
    for limit in [1, 2, 5, 13, 14, 100] {
        let found = all(&provider, &ada, limit).await;
        assert_eq!(found.len(), 13, "in pages of {limit}");
        let ids: BTreeSet<_> = found.iter().map(|listed| listed.id.clone()).collect();
        assert_eq!(ids, stored, "in pages of {limit}");
        for listed in &found {
            let read = context.read(&listed.id).await.expect("a listed session exists");
            assert_eq!(
                (listed.record.stamp().version, &listed.record.body),
                (read.stamp().version, &read.body)
            );
            let late = listed.record.header.deadline.since(context.now().after(LONG / 2));
            assert!(!late.is_zero(), "the list has the idle deadline");
        }
    }
}

/// A write with the same owner keeps the entry; another owner moves it, and no owner removes it.
pub async fn a_write_moves_a_session_to_its_owner(context: Context) {
    if !lists(&context) {
        return;
    }
    let provider = context.provider();
    let ((_, ada), (_, bob)) = (somebody(&context), somebody(&context));
    let id = store(&context, &owned(&context, ada, "1")).await;
    for owner in [Some(ada), Some(bob), None, Some(ada)] {
        let before = context.read(&id).await.expect("it is there");
        let mut next = context.next(&before, "2", LONG);
        next.header.owner = owner;
        let outcome = provider.write(&id, &next, Condition::Over(before.stamp()), LONG).await;
        assert!(is_stored(&outcome), "{outcome:?}");
        for somebody in [ada, bob] {
            let found = ids(&provider, &somebody).await;
            assert_eq!(found.contains(&id), owner == Some(somebody), "{owner:?}");
        }
    }
    // A refused write moves nothing.
    let stale = Header::new(context.now(), context.now().after(LONG), context.now().after(LONG));
    let mut refused = Record::new(stale.next(), context.record("3", LONG).body);
    refused.header.owner = Some(bob);
    let stamp = refused.stamp();
    provider.write(&id, &refused, Condition::Over(stamp), LONG).await.expect("a refusal");
    assert!(ids(&provider, &bob).await.is_empty() && ids(&provider, &ada).await.contains(&id));
}

/// The new id replaces the old one, even with another owner.
pub async fn a_rename_moves_the_entry(context: Context) {
    if !lists(&context) {
        return;
    }
    let provider = context.provider();
    let ((_, ada), (_, bob)) = (somebody(&context), somebody(&context));
    let old = store(&context, &owned(&context, ada, "1")).await;
    let before = context.read(&old).await.expect("it is there");
    let new = context.id();
    let mut record = context.next(&before, "2", LONG);
    record.header.owner = Some(bob);
    let mut tombstone = Record::new(before.header.next(), session_core::record::Body::default());
    tombstone.header.state = State::Moved(new.clone());
    tombstone.header.owner = None;
    let rename = Rename::new((&old, before.stamp()), (&new, &record, LONG), &tombstone);
    assert!(is_stored(&provider.rename(&rename).await));
    assert!(ids(&provider, &ada).await.is_empty());
    assert_eq!(ids(&provider, &bob).await, BTreeSet::from([new.clone()]));

    // A session listed before its move is found by its tombstone and kept, because it now has
    // another owner.
    let listed = Listed::new(old, before);
    assert!(!end_listed(&*provider, &ada, &listed).await.expect("an end"));
    assert_eq!(value_of(context.read(&new).await.as_ref()).as_deref(), Some("2"));
    assert!(end_listed(&*provider, &bob, &listed).await.expect("an end"));
    assert!(context.read(&new).await.is_none());
    assert!(ids(&provider, &bob).await.is_empty());
}

/// Ended and expired sessions are not listed.
pub async fn a_list_has_only_live_sessions(context: Context) {
    if !lists(&context) {
        return;
    }
    let provider = context.provider();
    let (_, ada) = somebody(&context);
    let short = context.short();
    let mut record = context.record("1", short);
    record.header.owner = Some(ada);
    let brief = context.id();
    assert!(is_stored(&provider.write(&brief, &record, Condition::Absent, short).await));
    let ended = store(&context, &owned(&context, ada, "2")).await;
    let kept = store(&context, &owned(&context, ada, "3")).await;
    provider.destroy(&ended, None).await.expect("a destroy");
    // Listing does not extend deadlines.
    context.pass(short / 2).await;
    ids(&provider, &ada).await;
    context.outlive(short / 2).await;
    assert_eq!(ids(&provider, &ada).await, BTreeSet::from([kept]));
}

/// All sessions of an owner end in calls of a limited size; no other owner's does.
pub async fn the_sessions_of_an_owner_end_together(context: Context) {
    let provider = context.provider();
    if context.capabilities().owner_index == OwnerIndex::None {
        return;
    }
    let engine = provider.as_indexed().expect("the declared index");
    let ((_, ada), (_, bob)) = (somebody(&context), somebody(&context));
    let mut stored = Vec::new();
    for number in 0..25 {
        stored.push(store(&context, &owned(&context, ada, &number.to_string())).await);
    }
    let other = store(&context, &owned(&context, bob, "other")).await;
    let mut ended = 0;
    loop {
        let some = engine.end_owner(&ada, 10).await.expect("an end");
        assert!(some <= 10, "no more than asked for");
        ended += some;
        if some == 0 {
            break;
        }
    }
    assert_eq!(ended, 25);
    for id in &stored {
        assert!(context.read(id).await.is_none());
    }
    assert!(context.read(&other).await.is_some());
    assert_eq!(engine.end_owner(&somebody(&context).1, 10).await.expect("an owner without sessions"), 0);
}

/// Sessions that are written while the index is read and written by others are all found.
pub async fn an_index_loses_nothing_under_load(context: Context) {
    if !lists(&context) {
        return;
    }
    let (_, ada) = somebody(&context);
    let other = context.another().await;
    side_by_side((0..8).map(|worker| {
        let (context, other) = (context.clone(), Arc::clone(&other));
        async move {
            for round in 0..4 {
                let record = owned(&context, ada, &format!("{worker}-{round}"));
                let kept = store(&context, &record).await;
                let ended = store(&context, &record).await;
                assert!(ids(&other, &ada).await.contains(&kept), "other processes list it as well");
                other.destroy(&ended, None).await.expect("a destroy");
            }
        }
    }))
    .await;
    assert_eq!(ids(&context.provider(), &ada).await.len(), 32);
}

/// A scan returns every record, including tombstones.
pub async fn a_scan_returns_every_record(context: Context) {
    let provider = context.provider();
    let Some(engine) = provider.as_scan() else { return };
    let mut stored = BTreeSet::new();
    for number in 0..17 {
        stored.insert(context.stored(&number.to_string(), LONG).await.0);
    }
    let (old, before) = context.stored("moved", LONG).await;
    let new = context.id();
    let mut tombstone = Record::new(before.header.next(), session_core::record::Body::default());
    tombstone.header.state = State::Moved(new.clone());
    let record = context.next(&before, "moved", LONG);
    let rename = Rename::new((&old, before.stamp()), (&new, &record, LONG), &tombstone);
    assert!(is_stored(&provider.rename(&rename).await));
    stored.insert(new);
    for limit in [3, 1_000] {
        let mut left = stored.clone();
        let mut after = None;
        loop {
            let page: Page = engine.scan(after.as_ref(), limit).await.expect("a walk");
            for listed in &page.sessions {
                if left.remove(&listed.id) {
                    assert!(value_of(Some(&listed.record)).is_some(), "as it is stored");
                    let late =
                        listed.record.header.deadline.since(context.now().after(Duration::from_secs(1)));
                    assert!(!late.is_zero(), "the scan has the idle deadline");
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(left.is_empty(), "{} records are missing in pages of {limit}", left.len());
    }
}
