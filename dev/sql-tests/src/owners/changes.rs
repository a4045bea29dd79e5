//! The end of all sessions of an owner, while they change.

use std::sync::Arc;

use session_core::Provider;
use session_core::accounts::Owner;
use session_core::engine::{DestroyOutcome, Indexed};
use session_core::record::Record;

use super::end_all;
use crate::records::{MINUTE, Move, create, hashed, owned};
use crate::{Engine, Table};

pub async fn no_session_of_an_owner_is_left_after_zero_while_ids_are_replaced<E: Engine>() {
    let (_, sessions) = Table::<E>::start("end_and_rename_many").await;
    let sessions = Arc::new(sessions);
    for round in 0..30_u64 {
        let ada = Owner::of(&format!("ada-{round}"));
        let first = round * 100;
        for number in 0..8 {
            create(&*sessions, &hashed(first + number), &owned("a", ada)).await;
        }
        let renames = (0..8).map(|number| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                let over = sessions.read(&hashed(first + number), MINUTE).await.unwrap();
                let Some(over) = over.filter(Record::is_live) else { return };
                // Keys before and after the current position.
                let new =
                    hashed(if number % 2 == 0 { 1_000_000 + first + number } else { first + 50 - number });
                let moved = Move::new(&hashed(first + number), &new, &over);
                sessions.rename(&moved.as_rename()).await.unwrap();
            })
        });
        let renames = renames.collect::<Vec<_>>();
        let mut ended = 0;
        loop {
            let some = sessions.end_owner(&ada, 3).await.unwrap();
            ended += some;
            if some == 0 {
                break;
            }
        }
        for rename in renames {
            rename.await.unwrap();
        }
        assert_eq!(ended, 8, "round {round}");
        assert!(sessions.list(&ada, None, 10).await.unwrap().sessions.is_empty(), "round {round}");
    }
}

/// A logout and the end of all of an owner's sessions count each session once.
pub async fn logouts_sign_ins_and_two_end_all_calls_do_not_block_each_other<E: Engine>() {
    let (_, sessions) = Table::<E>::start("end_twice").await;
    let sessions = Arc::new(sessions);
    for round in 0..20_u64 {
        let ada = Owner::of(&format!("ada-{round}"));
        let of_round = move |number: u64| hashed(round * 100 + number);
        for number in 0..20 {
            create(&*sessions, &of_round(number), &owned("a", ada)).await;
        }
        let enders = (0..2).map(|_| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { end_all(&*sessions, &ada).await })
        });
        let logouts = {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                let mut ended = 0;
                for number in (0..20).rev() {
                    let outcome = sessions.destroy(&of_round(number), None).await.unwrap();
                    ended += usize::from(matches!(outcome, DestroyOutcome::Destroyed));
                    create(&*sessions, &of_round(number + 50), &owned("b", ada)).await;
                }
                ended
            })
        };
        let mut ended = 0;
        for ender in enders.collect::<Vec<_>>() {
            ended += ender.await.unwrap();
        }
        ended += logouts.await.unwrap();
        ended += end_all(&*sessions, &ada).await;
        assert_eq!(ended, 40, "round {round}");
    }
}
