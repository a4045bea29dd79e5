//! A bounded store: the operations it refuses and allows, and the sessions it ends.

mod common;

use std::sync::Arc;

use common::{MINUTE, create, id, next, owned, record, store, tombstone, value};
use session_core::accounts::Owner;
use session_core::clock::Clock as _;
use session_core::engine::{Condition, DestroyOutcome, Rename, TOMBSTONE_TTL, WriteOutcome};
use session_core::{ErrorKind, Provider as _};
use session_memory::Eviction;

#[tokio::test]
async fn a_full_store_refuses_new_sessions_and_serves_the_others() {
    let (provider, clock) = store(|builder| builder.max_sessions(2));
    let first = record(&clock, 0);
    for number in 0..2 {
        create(&provider, &id(number), &first, MINUTE).await.unwrap();
    }
    let full = create(&provider, &id(2), &first, MINUTE).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert!(full.message().contains("limit of 2 sessions"), "{full}");

    let over = Condition::Over(first.stamp());
    let changed = provider.write(&id(0), &next(&first, 1), over, MINUTE).await.unwrap();
    assert!(matches!(changed, WriteOutcome::Stored(_)));
    provider.destroy(&id(1), None).await.unwrap();
    create(&provider, &id(2), &first, MINUTE).await.unwrap();
}

#[test]
fn only_a_store_that_evicts_says_so() {
    for (eviction, evicts) in
        [(None, false), (Some(Eviction::Refuse), false), (Some(Eviction::AnonymousFirst), true)]
    {
        let (provider, _) = store(|builder| {
            let builder = builder.max_sessions(2);
            eviction.map_or(builder.clone(), |eviction| builder.eviction(eviction))
        });
        assert_eq!(provider.capabilities().evicts, evicts, "{eviction:?}");
        assert_eq!(provider.engine(), session_memory::ENGINE);
    }
    assert!(!store(|builder| builder).0.capabilities().evicts, "an unbounded one");
}

#[tokio::test]
async fn expired_sessions_make_room_first() {
    let (provider, clock) = store(|builder| builder.max_sessions(100).eviction(Eviction::AnonymousFirst));
    for number in 0..100 {
        let idle = if number == 50 { MINUTE } else { MINUTE * 2 };
        create(&provider, &id(number), &record(&clock, 0), idle).await.unwrap();
    }
    clock.advance(MINUTE);
    create(&provider, &id(100), &record(&clock, 0), MINUTE).await.unwrap();
    let mut alive = 0;
    for number in 0..=100 {
        alive += usize::from(provider.exists(&id(number)).await.unwrap());
    }
    assert_eq!(alive, 100);
}

#[tokio::test]
async fn a_flood_of_visitors_displaces_visitors_and_no_logged_in_users() {
    let (provider, clock) = store(|builder| builder.max_sessions(1_000).eviction(Eviction::AnonymousFirst));
    for number in 0..500 {
        create(&provider, &id(number), &owned(&clock, "ada"), MINUTE).await.unwrap();
    }
    for number in 500..10_000 {
        create(&provider, &id(number), &record(&clock, 0), MINUTE * 5).await.unwrap();
    }
    assert_eq!(provider.count().await.unwrap(), Some(1_000));
    for number in 0..500 {
        assert!(provider.exists(&id(number)).await.unwrap(), "{number}");
    }
    // Full of logged-in users: a new session replaces the one that was unused for longest.
    for number in 10_000..10_600 {
        clock.advance(std::time::Duration::from_millis(1));
        create(&provider, &id(number), &owned(&clock, "eve"), MINUTE).await.unwrap();
    }
    assert_eq!(provider.count().await.unwrap(), Some(1_000));
    assert!(provider.exists(&id(10_599)).await.unwrap() && provider.exists(&id(10_000)).await.unwrap());
}

#[tokio::test]
async fn a_visitor_who_came_back_outlives_one_who_did_not() {
    let (provider, clock) = store(|builder| builder.max_sessions(2).eviction(Eviction::AnonymousFirst));
    create(&provider, &id(0), &record(&clock, 0), MINUTE).await.unwrap();
    clock.advance(MINUTE / 4);
    create(&provider, &id(1), &record(&clock, 0), MINUTE).await.unwrap();
    clock.advance(MINUTE / 4);
    provider.read(&id(0), MINUTE).await.unwrap();
    create(&provider, &id(2), &record(&clock, 0), MINUTE).await.unwrap();
    assert!(provider.exists(&id(0)).await.unwrap() && !provider.exists(&id(1)).await.unwrap());
}

#[tokio::test]
async fn a_full_store_still_gives_a_session_a_new_id_and_only_once() {
    let (provider, clock) = store(|builder| builder.max_sessions(1));
    let first = record(&clock, 7);
    create(&provider, &id(0), &first, MINUTE).await.unwrap();
    let (moved, grave) = (next(&first, 7), tombstone(&first, &id(1), clock.now().after(TOMBSTONE_TTL)));
    let (old, new) = (id(0), id(1));
    let rename = Rename::new((&old, first.stamp()), (&new, &moved, MINUTE), &grave);
    for _ in 0..2 {
        assert!(matches!(provider.rename(&rename).await.unwrap(), WriteOutcome::Stored(_)));
    }
    assert_eq!(provider.count().await.unwrap(), Some(1));
    assert_eq!(value(&provider.read(&new, MINUTE).await.unwrap().unwrap()), 7);
    assert!(
        matches!(provider.destroy(&old, None).await.unwrap(), DestroyOutcome::Moved(target) if target == new)
    );

    // Another rename from the same version lost the race and leaves nothing.
    let third = id(2);
    let grave = tombstone(&first, &third, clock.now().after(TOMBSTONE_TTL));
    let loser = Rename::new((&old, first.stamp()), (&third, &moved, MINUTE), &grave);
    let WriteOutcome::Refused(refusal) = provider.rename(&loser).await.unwrap() else { panic!("stored") };
    assert!(refusal.current.is_some_and(|current| !current.is_live()));
    assert!(!provider.exists(&third).await.unwrap());

    // Once the session has ended, a repeated rename does not restore it.
    provider.destroy(&new, None).await.unwrap();
    let WriteOutcome::Refused(refusal) = provider.rename(&rename).await.unwrap() else { panic!("stored") };
    assert!(refusal.current.is_none() && !provider.exists(&new).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_visitors_never_exceed_the_bound() {
    let (provider, clock) = store(|builder| builder.max_sessions(8));
    let provider = Arc::new(provider);
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (provider, first) = (Arc::clone(&provider), record(&clock, 0));
            tokio::spawn(async move { create(&provider, &id(number), &first, MINUTE).await })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => created += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
        }
    }
    assert_eq!((created, provider.count().await.unwrap()), (8, Some(8)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_increments_through_compare_and_set_are_all_kept() {
    let (provider, clock) = store(|builder| builder);
    let (provider, shared) = (Arc::new(provider), id(0));
    create(&provider, &shared, &record(&clock, 0), MINUTE).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (provider, shared) = (Arc::clone(&provider), shared.clone());
            tokio::spawn(async move {
                let mut stored = 0;
                while stored < 500 {
                    let seen = provider.read(&shared, MINUTE).await.unwrap().unwrap();
                    let more = next(&seen, value(&seen) + 1);
                    let over = Condition::Over(seen.stamp());
                    let outcome = provider.write(&shared, &more, over, MINUTE).await.unwrap();
                    stored += u32::from(matches!(outcome, WriteOutcome::Stored(_)));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(&provider.read(&shared, MINUTE).await.unwrap().unwrap()), 4_000);
}

/// The runtime's worker must be able to serve other requests.
#[tokio::test]
async fn a_write_to_a_full_store_yields_while_it_searches_for_room() {
    const SESSIONS: usize = 20_000;
    let (provider, clock) = store(|builder| builder.max_sessions(SESSIONS));
    for number in 0..SESSIONS {
        create(&provider, &id(number), &record(&clock, 0), MINUTE).await.unwrap();
    }
    // All have reached their filed deadlines, and all are in use.
    clock.advance(MINUTE / 2);
    for number in 0..SESSIONS {
        provider.read(&id(number), MINUTE).await.unwrap().unwrap();
    }
    clock.advance(MINUTE / 2);
    let (new, first) = (id(SESSIONS), record(&clock, 0));
    let mut write = std::pin::pin!(provider.write(&new, &first, Condition::Absent, MINUTE));
    let mut waits = 0;
    let outcome = std::future::poll_fn(|context| {
        let poll = write.as_mut().poll(context);
        waits += usize::from(poll.is_pending());
        poll
    });
    assert_eq!(outcome.await.unwrap_err().kind(), ErrorKind::Full);
    assert!(waits > 50, "it has looked at 20,000 sessions, and let others run {waits} times");
}

/// The queue still has the deadline of a removed session. A full store drops it, and does not
/// search for the session again and again.
#[tokio::test]
async fn a_removed_session_leaves_nothing_to_search_for() {
    let (provider, clock) = store(|builder| builder.max_sessions(2));
    let first = record(&clock, 0);
    create(&provider, &id(0), &first, MINUTE).await.unwrap();
    create(&provider, &id(1), &first, MINUTE * 9).await.unwrap();
    provider.destroy(&id(0), None).await.unwrap();
    create(&provider, &id(2), &first, MINUTE * 10).await.unwrap();
    clock.advance(MINUTE * 2);
    let another = id(3);
    let write = create(&provider, &another, &first, MINUTE);
    let full = tokio::time::timeout(MINUTE / 6, write).await.expect("an answer").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
}

#[tokio::test]
async fn a_session_that_got_an_owner_is_collected_and_no_batch_is_larger_than_asked() {
    let (provider, clock) = store(|builder| builder.max_sessions(60));
    for number in 0..20 {
        let visitor = record(&clock, 0);
        create(&provider, &id(number), &visitor, MINUTE).await.unwrap();
        let mut user = next(&visitor, 1);
        user.header.owner = Some(Owner::of("ada"));
        let over = Condition::Over(visitor.stamp());
        provider.write(&id(number), &user, over, MINUTE).await.unwrap();
    }
    clock.advance(MINUTE);
    assert_eq!(provider.gc(5).await.unwrap(), 5);
    assert_eq!(provider.gc(100).await.unwrap(), 15);
    assert_eq!(provider.count().await.unwrap(), Some(0));
}

/// Each of many shards has a tombstone that expired, and sessions that are due to be checked and
/// are in use: removing the tombstone frees no space, and does not count as a failed attempt.
#[tokio::test]
async fn tombstones_that_expire_make_no_room_and_cost_no_attempt() {
    const SESSIONS: usize = 2_048;
    let (provider, clock) =
        store(|builder| builder.max_sessions(SESSIONS).eviction(Eviction::AnonymousFirst));
    let (first, long) = (record(&clock, 0), TOMBSTONE_TTL * 2);
    let (moved, end) = (next(&first, 0), clock.now().after(TOMBSTONE_TTL));
    for number in 0..SESSIONS {
        let (old, new) = (id(number), id(SESSIONS + number));
        create(&provider, &old, &first, TOMBSTONE_TTL).await.unwrap();
        let grave = tombstone(&first, &new, end);
        let rename = Rename::new((&old, first.stamp()), (&new, &moved, TOMBSTONE_TTL), &grave);
        assert!(matches!(provider.rename(&rename).await.unwrap(), WriteOutcome::Stored(_)));
        assert!(provider.read(&new, long).await.unwrap().is_some());
    }
    clock.advance(TOMBSTONE_TTL);
    create(&provider, &id(2 * SESSIONS), &record(&clock, 0), long).await.expect("another one is evicted");
    assert_eq!(provider.count().await.unwrap(), u64::try_from(SESSIONS).ok());
}

#[tokio::test]
async fn a_shard_in_which_everything_is_due_is_collected() {
    // So small a store has one shard.
    let (provider, clock) = store(|builder| builder.max_sessions(10));
    let user = owned(&clock, "ada");
    create(&provider, &id(0), &record(&clock, 0), MINUTE).await.unwrap();
    create(&provider, &id(1), &user, MINUTE).await.unwrap();
    let (moved, grave) = (next(&user, 0), tombstone(&user, &id(2), clock.now().after(MINUTE)));
    let (old, new) = (id(1), id(2));
    let rename = Rename::new((&old, user.stamp()), (&new, &moved, MINUTE), &grave);
    assert!(matches!(provider.rename(&rename).await.unwrap(), WriteOutcome::Stored(_)));
    assert_eq!(provider.gc(10).await.unwrap(), 0);
    clock.advance(MINUTE);
    assert_eq!(provider.gc(10).await.unwrap(), 3);
}

#[tokio::test]
async fn a_batch_over_several_shards_is_no_larger_than_asked() {
    // So large a store has four shards.
    let (provider, clock) = store(|builder| builder.max_sessions(256));
    for number in 0..256 {
        create(&provider, &id(number), &record(&clock, 0), MINUTE).await.unwrap();
    }
    clock.advance(MINUTE);
    for removed in [100, 100, 56, 0] {
        assert_eq!(provider.gc(100).await.unwrap(), removed);
    }
}

#[tokio::test]
async fn a_scan_returns_every_session_of_a_shard_once() {
    // One shard, and four.
    for max in [10, 256] {
        let (provider, clock) = store(|builder| builder.max_sessions(max));
        for number in 0..10 {
            create(&provider, &id(number), &record(&clock, 0), MINUTE).await.unwrap();
        }
        for limit in [1, 2, 3, 10, 11] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = provider.as_scan().unwrap().scan(after.as_ref(), limit).await.unwrap();
                assert!(page.sessions.len() <= limit && found.len() <= 10);
                found.extend(page.sessions.into_iter().map(|listed| listed.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            found.sort();
            let mut all: Vec<_> = (0..10).map(id).collect();
            all.sort();
            assert_eq!(found, all, "of {max}, by {limit}");
        }
    }
}
