//! The collection of expired rows.

use std::sync::Arc;

use session_core::Provider;

use crate::records::{create, id, record};
use crate::{Engine, Table};

/// Inserts this number of expired sessions.
async fn expire<E: Engine>(table: &Table<E>, count: usize) {
    let rows: Vec<String> = (0..count).map(|row| format!("('old{row}', {})", E::DIALECT.past)).collect();
    let (name, rows) = (table.name(), rows.join(","));
    table.sql(&format!("INSERT INTO {name} (session_key, session_expiry) VALUES {rows}")).await;
}

pub async fn gc_removes_expired_rows_in_small_statements<E: Engine>() {
    let (table, sessions) = Table::<E>::start("gc_batches").await;
    create(&sessions, &id("live"), &record("a")).await;
    expire(&table, 1300).await;
    assert_eq!(sessions.gc(7).await.unwrap(), 7);
    // On a busy machine a call ends at its own deadline, and the next one goes on.
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(sessions.gc(1200).await.unwrap());
    }
    assert!(removed.iter().all(|removed| *removed <= 1200), "{removed:?}");
    assert_eq!(removed.iter().sum::<usize>(), 1293);
    assert!(sessions.exists(&id("live")).await.unwrap());
}

pub async fn collectors_at_once_count_no_row_twice<E: Engine>() {
    let (table, sessions) = Table::<E>::start("gc_at_once").await;
    expire(&table, 5000).await;
    let sessions = Arc::new(sessions);
    let collectors = (0..4).map(|_| {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { sessions.gc(5000).await.unwrap() })
    });
    let mut removed = 0;
    for collector in collectors.collect::<Vec<_>>() {
        removed += collector.await.unwrap();
    }
    // On a busy machine a call ends at its own deadline, and the next one goes on.
    loop {
        match sessions.gc(5000).await.unwrap() {
            0 => break,
            more => removed += more,
        }
    }
    assert_eq!(removed, 5000);
}
