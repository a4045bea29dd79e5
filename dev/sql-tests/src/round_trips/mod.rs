//! Every operation is one round trip, counted on the wire to include pings.
#![allow(missing_docs)] // a test's name says what it shows

/// The cost of an operation whose statement is prepared.
macro_rules! trips {
    ($proxy:expr, $operation:expr) => {{
        let before = $proxy.counts().round_trips;
        let result = $operation.await.unwrap();
        ($proxy.counts().round_trips - before, result)
    }};
}

pub mod drivers_pool;
pub mod operations;

use session_core::Provider;
use session_core::engine::{Condition, DestroyOutcome};
use session_servers::proxy::Proxy;

use crate::records::{MINUTE, Move, changed, hashed, is_stored, record};

/// The cost of every operation on one session.
async fn a_life(sessions: &impl Provider, proxy: &Proxy, life: u64) -> [u64; 8] {
    let (old, new) = (hashed(life), hashed(life + 1_000));
    let first = record("a");
    let (create, outcome) = trips!(proxy, sessions.write(&old, &first, Condition::Absent, MINUTE));
    assert!(is_stored(&outcome));
    let (read, found) = trips!(proxy, sessions.read(&old, MINUTE));
    let second = changed(&found.unwrap(), "b");
    let over = Condition::Over(first.stamp());
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
    assert!(is_stored(&crate::records::create(sessions, &new, &record("again")).await));
    let (without, outcome) = trips!(proxy, sessions.destroy(&new, None));
    assert!(matches!(outcome, DestroyOutcome::Destroyed));
    [create, read, replace, touch, exists, rename, with_stamp, without]
}
