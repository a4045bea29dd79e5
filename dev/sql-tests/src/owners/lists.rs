//! The pages of a list, and what is not in it.

use std::collections::BTreeSet;

use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Scan};
use session_core::record::State;
use session_core::{ErrorKind, Provider};

use super::end_all;
use crate::records::{Move, create, hashed, is_stored, owned, record};
use crate::{Engine, Table};

pub async fn unreadable_rows_are_not_listed_but_ended<E: Engine>() {
    let (table, sessions) = Table::<E>::start("owner_corrupt").await;
    let ada = Owner::of("ada");
    create(&sessions, &hashed(1), &owned("a", ada)).await;
    create(&sessions, &hashed(2), &owned("b", ada)).await;
    let first = hashed(1).to_text();
    let (name, forever) = (table.name(), E::DIALECT.forever);
    table.sql(&format!("UPDATE {name} SET session_data = 'x' WHERE session_key = '{first}'")).await;
    let insert = format!("INSERT INTO {name} (session_key, session_expiry) VALUES ('for ever', {forever})");
    table.sql(&insert).await;
    let page = sessions.list(&ada, None, 1).await.unwrap();
    assert!(page.sessions.is_empty());
    let page = sessions.list(&ada, page.next.as_ref(), 1).await.unwrap();
    assert_eq!(page.sessions[0].id, hashed(2));
    let walk = sessions.scan(None, 10).await.unwrap();
    assert_eq!(walk.sessions.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&hashed(2)]);
    assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 2);
    let error = sessions.list(&ada, Some(&Cursor(Box::from(*b"\0"))), 1).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some(E::NAME)));
}

pub async fn a_scan_returns_tombstones_and_no_expired_sessions<E: Engine>() {
    let (table, sessions) = Table::<E>::start("walk").await;
    let ada = Owner::of("ada");
    let first = owned("a", ada);
    create(&sessions, &hashed(1), &first).await;
    create(&sessions, &hashed(3), &record("expired")).await;
    let expired = hashed(3).to_text();
    let (name, past) = (table.name(), E::DIALECT.past);
    table.sql(&format!("UPDATE {name} SET session_expiry = {past} WHERE session_key = '{expired}'")).await;
    let moved = Move::new(&hashed(1), &hashed(2), &first);
    assert!(is_stored(&sessions.rename(&moved.as_rename()).await.unwrap()));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = sessions.scan(after.as_ref(), 1).await.unwrap();
        found.extend(page.sessions.into_iter().map(|listed| (listed.id, listed.record.header.state)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [(hashed(1), State::Moved(hashed(2))), (hashed(2), State::Live)]);
    let listed = sessions.list(&ada, None, 10).await.unwrap().sessions;
    assert_eq!(listed.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&hashed(2)]);
}

/// More sessions than any real owner has.
const MANY: usize = 100_000;

pub async fn a_hundred_thousand_sessions_of_an_owner_are_listed_and_ended_in_pages<E: Engine>() {
    let (table, sessions) = Table::<E>::start("owner_of_many").await;
    let ada = Owner::of("ada");
    let data = owned("one of many", ada).encode().unwrap();
    let data = data.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    table.sql(&E::insert_many(table.name(), &E::bytes(&data), MANY, 1_000)).await;
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = sessions.list(&ada, after.as_ref(), 1_000).await.unwrap();
        assert!(page.sessions.len() <= 1_000);
        let last = found.last().cloned();
        assert!(page.sessions.iter().all(|listed| Some(&listed.id) > last.as_ref()), "in order");
        found.extend(page.sessions.into_iter().map(|listed| listed.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), MANY);
    assert_eq!(end_all(&sessions, &ada).await, MANY);
    assert_eq!(sessions.count().await.unwrap(), Some(1_000));
}
