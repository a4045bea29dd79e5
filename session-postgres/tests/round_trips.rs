//! Every operation is one round trip, counted on the wire to include pings.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::{DestroyOutcome, Indexed, Scan};
use session_postgres::{PgPool, PostgresProvider};
use session_servers::proxy::Proxy;
use support::*;

/// The cost of an operation whose statement is prepared.
macro_rules! trips {
    ($proxy:expr, $operation:expr) => {{
        let before = $proxy.counts().round_trips;
        let result = $operation.await.unwrap();
        ($proxy.counts().round_trips - before, result)
    }};
}

async fn a_life(sessions: &impl Provider, proxy: &Proxy, life: u64) -> [u64; 8] {
    let (old, new) = (hashed(life), hashed(life + 1_000));
    let first = record("a");
    let (create, outcome) =
        trips!(proxy, sessions.write(&old, &first, session_core::engine::Condition::Absent, MINUTE));
    assert!(is_stored(&outcome));
    let (read, found) = trips!(proxy, sessions.read(&old, MINUTE));
    let second = changed(&found.unwrap(), "b");
    let over = session_core::engine::Condition::Over(first.stamp());
    let (replace, outcome) = trips!(proxy, sessions.write(&old, &second, over, MINUTE));
    assert!(is_stored(&outcome));
    let (touch, there) = trips!(proxy, sessions.touch(&old, &second, MINUTE));
    assert!(there);
    let (exists, there) = trips!(proxy, sessions.exists(&old));
    assert!(there);
    let moved = Move::new(&old, &new, &second);
    let (rename, outcome) = trips!(proxy, sessions.rename(&moved.as_rename()));
    assert!(is_stored(&outcome));
    let (with_stamp, outcome) = trips!(proxy, sessions.destroy(&new, Some(moved.record.stamp())));
    assert!(matches!(outcome, DestroyOutcome::Destroyed));
    create_again(sessions, &new).await;
    let (without, outcome) = trips!(proxy, sessions.destroy(&new, None));
    assert!(matches!(outcome, DestroyOutcome::Destroyed));
    [create, read, replace, touch, exists, rename, with_stamp, without]
}

async fn create_again(sessions: &impl Provider, id: &session_core::id::StorageId) {
    assert!(is_stored(&create(sessions, id, &record("again")).await));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn every_operation_is_one_round_trip() {
    let (url, _) = start("round_trips").await;
    let (proxy, url) = behind_proxy(&url);
    let sessions = connect(&format!("{url}&sslmode=disable&max_connections=1")).await;
    a_life(&sessions, &proxy, 1).await; // prepares the statements
    for life in 2..5 {
        assert_eq!(a_life(&sessions, &proxy, life).await, [1; 8]);
    }
    assert_eq!(proxy.counts().connections, 1);
    let before = proxy.counts().round_trips;
    sessions.read(&hashed(99), MINUTE).await.unwrap();
    assert_eq!(proxy.counts().round_trips - before, 1, "what is not there costs no more");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_sessions_of_an_owner_are_listed_and_ended_in_one_round_trip() {
    let (url, _) = start("round_trips_owner").await;
    let (proxy, url) = behind_proxy(&url);
    let sessions = connect(&format!("{url}&sslmode=disable&max_connections=1")).await;
    let ada = Owner::of("ada");
    for round in 0..3 {
        for number in 0..5 {
            create(&sessions, &hashed(round * 10 + number), &owned("a", ada)).await;
        }
        let (first, page) = trips!(proxy, sessions.list(&ada, None, 3));
        assert_eq!((page.sessions.len(), page.next.is_some()), (3, true));
        let (second, page) = trips!(proxy, sessions.list(&ada, page.next.as_ref(), 3));
        assert_eq!((page.sessions.len(), page.next), (2, None));
        let (walk, page) = trips!(proxy, sessions.scan(None, 3));
        assert_eq!((page.sessions.len(), page.next.is_some()), (3, true));
        let (some, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 3);
        let (rest, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 2);
        let (none, ended) = trips!(proxy, sessions.end_owner(&ada, 3));
        assert_eq!(ended, 0);
        if round > 0 {
            assert_eq!([first, second, walk, some, rest, none], [1; 6]);
        }
    }
}

/// The reason for a separate pool; if this fails because `sqlx` stops pinging, that pool can be
/// removed.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_drivers_own_pool_works_and_costs_pings() {
    let (url, _) = start("round_trips_given_pool").await;
    let (proxy, url) = behind_proxy(&url);
    let pool = PgPool::connect(&format!("{url}&sslmode=disable")).await.unwrap();
    let sessions = PostgresProvider::with_pool(pool, "session").unwrap();
    a_life(&sessions, &proxy, 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let before = proxy.counts().round_trips;
    for _ in 0..10 {
        sessions.read(&hashed(99), MINUTE).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let trips = proxy.counts().round_trips - before;
    assert!(trips > 10, "{trips} round trips for 10 reads");
}
