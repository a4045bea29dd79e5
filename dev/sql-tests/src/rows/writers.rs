//! Writers of one session.

use std::sync::Arc;

use crate::records::{changed, create, hashed, is_stored, record, replace};
use crate::{Engine, Table};

pub async fn of_writers_at_once_one_wins_and_none_fails<E: Engine>() {
    let (_, sessions) = Table::<E>::start("writers").await;
    let sessions = Arc::new(sessions);
    for round in 0..20 {
        let first = record("0");
        create(&*sessions, &hashed(round), &first).await;
        let writers = (0..8).map(|writer| {
            let (sessions, first) = (Arc::clone(&sessions), first.clone());
            tokio::spawn(async move {
                let mine = changed(&first, &writer.to_string());
                is_stored(&replace(&*sessions, &hashed(round), &first, &mine).await)
            })
        });
        let mut stored = 0;
        for writer in writers.collect::<Vec<_>>() {
            stored += usize::from(writer.await.unwrap());
        }
        assert_eq!(stored, 1);
    }
}
