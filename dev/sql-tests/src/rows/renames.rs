//! The rows of renames, and renames at once.

use std::sync::Arc;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::DestroyOutcome;

use crate::records::{MINUTE, Move, create, hashed, is_stored, record};
use crate::{Engine, Table};

pub async fn a_rename_leaves_a_small_row_for_a_minute<E: Engine>() {
    let (table, sessions) = Table::<E>::start("renamed").await;
    let (old, new) = (hashed(1), hashed(2));
    let mut first = record(&"a".repeat(10_000));
    first.header.owner = Some(Owner::of("ada"));
    create(&sessions, &old, &first).await;
    let moved = Move::new(&old, &new, &first);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    let name = table.name();
    let left = format!("SELECT {} FROM {name} WHERE moved", E::text(E::DIALECT.millis_left));
    let left: Vec<f64> = table.ask(&left).await.iter().map(|left| left.parse().unwrap()).collect();
    assert!(left.len() == 1 && (50_000.0..=60_000.0).contains(&left[0]), "{left:?}");
    let size = format!("SELECT {} FROM {name} WHERE moved", E::text("LENGTH(session_data)"));
    assert!(table.ask(&size).await[0].parse::<usize>().unwrap() < 200);
    assert_eq!(sessions.count().await.unwrap(), Some(1));
    assert_eq!(sessions.read(&new, MINUTE).await.unwrap().unwrap().body, first.body);
    assert_eq!(sessions.read(&new, MINUTE).await.unwrap().unwrap().header.owner, first.header.owner);
}

pub async fn a_logout_and_a_rename_at_once_leave_nothing_behind<E: Engine>() {
    let (_, sessions) = Table::<E>::start("logout_and_rename").await;
    let sessions = Arc::new(sessions);
    for round in 0..200 {
        let (old, new) = (hashed(round), hashed(round + 1_000_000));
        let first = record("a");
        create(&*sessions, &old, &first).await;
        let moved = Move::new(&old, &new, &first);
        let (there, ended) = (Arc::clone(&sessions), Arc::clone(&sessions));
        let rename = tokio::spawn(async move { there.rename(&moved.as_rename()).await.unwrap() });
        let logout = tokio::spawn(async move {
            match ended.destroy(&old, None).await.unwrap() {
                DestroyOutcome::Moved(to) => ended.destroy(&to, None).await.unwrap(),
                outcome => outcome,
            }
        });
        rename.await.unwrap();
        assert!(matches!(logout.await.unwrap(), DestroyOutcome::Destroyed), "round {round}");
        assert!(sessions.read(&new, MINUTE).await.unwrap().is_none(), "round {round}");
    }
}

/// In MySQL their locks collide in an empty table; a statement that the server rolls back is
/// retried.
pub async fn renames_at_once_all_succeed<E: Engine>() {
    let (_, sessions) = Table::<E>::start("renames").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        let renames = (0..16).map(|number| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                let (old, new) = (hashed(round * 100 + number), hashed(round * 100 + number + 50));
                let first = record("a");
                create(&*sessions, &old, &first).await;
                let moved = Move::new(&old, &new, &first);
                assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
                let outcome = sessions.destroy(&new, Some(moved.record.stamp())).await.unwrap();
                assert!(matches!(outcome, DestroyOutcome::Destroyed));
            })
        });
        for rename in renames.collect::<Vec<_>>() {
            rename.await.unwrap();
        }
    }
}
