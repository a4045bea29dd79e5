//! The cost of a write in indexes, strict transactions, and the rows and columns that are the same on
//! all servers.
#![allow(clippy::unwrap_used)] // helpers are test code too

mod support;

use std::collections::HashSet;
use std::sync::Arc;

use session_core::Provider;
use support::*;

session_sql_tests::rows!(Postgres);

/// Expired rows are found by the index on `collect_after`.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn most_writes_leave_the_indexes_alone() {
    let (url, sessions) = start("indexes_alone").await;
    let rounded = "SELECT concat_ws(' ', session_expiry, collect_after, \
                   collect_after - session_expiry BETWEEN interval '0 s' AND interval '2048 ms') FROM session";
    let mut current = record("0");
    create(&sessions, &hashed(1), &current).await;
    let mut seen = ask(&url, rounded).await;
    for write in 1..=20 {
        if write % 2 == 0 {
            assert!(sessions.touch(&hashed(1), &current, MINUTE).await.unwrap());
        } else {
            let next = changed(&current, &write.to_string());
            assert!(is_stored(&replace(&sessions, &hashed(1), &current, &next).await));
            current = next;
        }
        seen.extend(ask(&url, rounded).await);
    }
    let expiries: HashSet<_> = seen.iter().map(|row| row.split('+').next()).collect();
    let marks: HashSet<_> = seen.iter().map(|row| row.split('+').nth(1)).collect();
    assert_eq!(expiries.len(), 21, "every write moves the deadline: {seen:?}");
    assert!(marks.len() <= 2 && seen.iter().all(|row| row.ends_with(" t")), "{seen:?}");
    // A connection reports its statistics on its next use, at most once a second.
    let hot = async || {
        sessions.read(&hashed(1), MINUTE).await.unwrap();
        let updates = "SELECT (n_tup_upd = 20 AND n_tup_hot_upd >= 18)::text FROM pg_stat_user_tables \
                       WHERE schemaname = current_schema() AND relname = 'session'";
        ask(&url, updates).await == ["true"]
    };
    session_conformance::eventually("the statistics show HOT updates", hot).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn serialization_failures_are_retried_internally() {
    let (url, _) = start("serializable").await;
    let strict =
        Arc::new(connect(&format!("{url}%20-c%20default_transaction_isolation%3Dserializable")).await);
    let first = record("0");
    create(&*strict, &id("a"), &first).await;
    let writers = (0..8).map(|writer| {
        let (strict, first) = (Arc::clone(&strict), first.clone());
        tokio::spawn(async move {
            let mine = changed(&first, &writer.to_string());
            is_stored(&replace(&*strict, &id("a"), &first, &mine).await)
        })
    });
    let mut stored = 0;
    for writer in writers.collect::<Vec<_>>() {
        stored += usize::from(writer.await.unwrap());
    }
    assert_eq!(stored, 1, "one wins, the others are refused and none of them fails");
}
