//! Calls that end before their answer.

use std::time::Duration;

use session_core::Provider;
use tokio::time::timeout;

use crate::records::{MINUTE, create, id, record, value};
use crate::{Engine, Table};

/// A call that is cancelled at any point never leaves its answer to the next caller.
pub async fn a_cancelled_call_never_leaves_its_answer_to_the_next<E: Engine>() {
    let (proxy, sessions) = Table::<E>::behind_proxy("cancelled", &["max_connections=1"]).await;
    for name in ["ada", "bob"] {
        create(&sessions, &id(name), &record(name)).await;
    }
    proxy.delay_answers(Duration::from_millis(10));
    let mut cancelled = 0;
    for round in 0..120 {
        let patience = Duration::from_micros(round * 150);
        cancelled += u32::from(timeout(patience, sessions.read(&id("ada"), MINUTE)).await.is_err());
        let bob = sessions.read(&id("bob"), MINUTE).await.unwrap().unwrap();
        assert_eq!(value(&bob), "bob", "round {round}");
    }
    assert!((10..120).contains(&cancelled), "{cancelled} of 120 were cancelled");
}
