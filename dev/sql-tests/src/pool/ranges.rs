//! Limits that no server knows.

use std::time::Duration;

use session_core::Provider;
use session_core::clock::Timestamp;
use session_core::engine::Condition;

use crate::records::{MINUTE, a_life, id, record};
use crate::{Engine, Limits, Table};

pub async fn limits_beyond_the_servers_range_become_its_maximum<E: Engine>() {
    let (table, _) = Table::<E>::start("longest").await;
    for (life, time) in (1..).zip([Duration::MAX, Duration::ZERO, Duration::from_secs(u64::from(u32::MAX))]) {
        let limits = Limits {
            lock: time,
            statement: time.max(Duration::from_secs(5)),
            connect: if time.is_zero() { MINUTE } else { time },
            connections: u32::MAX,
        };
        let sessions = E::connect_limited(table.url(), limits).await.unwrap();
        a_life(&sessions, life).await;
        let mut first = record("a");
        first.header.absolute = Timestamp::MAX;
        for ttl in [Duration::ZERO, time] {
            drop(sessions.write(&id("ever"), &first, Condition::Absent, ttl).await.unwrap());
            sessions.touch(&id("ever"), &first, ttl).await.unwrap();
            sessions.read(&id("ever"), ttl).await.unwrap();
        }
        sessions.destroy(&id("ever"), None).await.unwrap();
    }
}
