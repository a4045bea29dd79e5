//! The sessions of an owner: with concurrent changes, and in large numbers.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use session_core::accounts::Owner;
use session_core::engine::{DestroyOutcome, Indexed, Scan};
use session_core::record::State;
use session_core::{ErrorKind, Provider};
use session_postgres::PostgresProvider;
use session_servers::compose;
use sqlx::{Connection, PgConnection};
use support::*;

/// The rename of a session is not committed yet when its owner's sessions are ended.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_that_is_renamed_while_it_is_ended_is_ended() {
    let (url, sessions) = start("end_and_rename").await;
    let sessions = Arc::new(sessions);
    let ada = Owner::of("ada");
    for (old, new, owner) in [(5, 1, "owner"), (6, 9, "owner"), (7, 3, "sha256('bob')")] {
        create(&*sessions, &hashed(old), &owned("a", ada)).await;
        let (old, new) = (hashed(old).to_text(), hashed(new).to_text());
        let mut other = PgConnection::connect(&url).await.unwrap();
        let rename = format!(
            "BEGIN;
             INSERT INTO session (session_key, session_data, session_expiry, version, owner)
             SELECT '{new}', session_data, session_expiry, version, {owner} FROM session WHERE session_key = '{old}';
             UPDATE session SET moved = true WHERE session_key = '{old}'"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut other).await.unwrap();
        let ending = {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { sessions.end_owner(&ada, 10).await })
        };
        let waits = async || {
            let waiting = "SELECT (count(*) > 0)::text FROM pg_stat_activity \
                           WHERE wait_event_type = 'Lock' AND query LIKE '%ended%' AND query LIKE '%moved%'";
            ask(&url, waiting).await == ["true"]
        };
        session_conformance::eventually("the statement waits for the row", waits).await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
        let expected = usize::from(owner == "owner");
        assert_eq!(ending.await.unwrap().unwrap(), expected, "{owner}");
        let left = format!("SELECT count(*)::text FROM session WHERE session_key = '{new}'");
        assert_eq!(ask(&url, &left).await, [(1 - expected).to_string()]);
        assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a server: cargo xtask test"]
async fn no_session_of_an_owner_is_left_after_zero_while_ids_are_replaced() {
    let (_, sessions) = start("end_and_rename_many").await;
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
                let Some(over) = over.filter(session_core::record::Record::is_live) else { return };
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

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_invalid_record_is_omitted_from_a_list_and_ended() {
    let (url, sessions) = start("owner_corrupt").await;
    let ada = Owner::of("ada");
    create(&sessions, &hashed(1), &owned("a", ada)).await;
    create(&sessions, &hashed(2), &owned("b", ada)).await;
    let first = hashed(1).to_text();
    sql(&url, &format!("UPDATE session SET session_data = 'x' WHERE session_key = '{first}'")).await;
    sql(&url, "INSERT INTO session (session_key, session_expiry) VALUES ('for ever', 'infinity')").await;
    let page = sessions.list(&ada, None, 1).await.unwrap();
    assert!(page.sessions.is_empty());
    let page = sessions.list(&ada, page.next.as_ref(), 1).await.unwrap();
    assert_eq!(page.sessions[0].id, hashed(2));
    let walk = sessions.scan(None, 10).await.unwrap();
    assert_eq!(walk.sessions.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&hashed(2)]);
    assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 2);
    let error =
        sessions.list(&ada, Some(&session_core::engine::Cursor(Box::from(*b"\0"))), 1).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some("postgresql")));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_scan_returns_tombstones_and_no_expired_sessions() {
    let (url, sessions) = start("walk").await;
    let ada = Owner::of("ada");
    let first = owned("a", ada);
    create(&sessions, &hashed(1), &first).await;
    create(&sessions, &hashed(3), &record("expired")).await;
    let expired = hashed(3).to_text();
    sql(&url, &format!("UPDATE session SET session_expiry = now() WHERE session_key = '{expired}'")).await;
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

/// The same statements as behind a pooler.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn sessions_are_listed_and_ended_without_prepared_statements() {
    start("owner_as_text").await;
    let server = compose::POSTGRES.address();
    let sessions = connect(&format!("{server}?table=owner_as_text.session&prepared_statements=false")).await;
    let ada = Owner::of("ada");
    create(&sessions, &hashed(1), &owned("it's", ada)).await;
    let page = sessions.list(&ada, None, 1).await.unwrap();
    assert_eq!(value(&page.sessions[0].record), "it's");
    assert!(sessions.list(&ada, page.next.as_ref(), 1).await.unwrap().sessions.is_empty());
    assert_eq!(sessions.scan(None, 10).await.unwrap().sessions.len(), 1);
    assert_eq!(sessions.end_owner(&ada, 10).await.unwrap(), 1);
}

/// More sessions than any real owner has.
const MANY: usize = 100_000;

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_hundred_thousand_sessions_of_an_owner_are_listed_and_ended_in_pages() {
    let (url, sessions) = start("owner_of_many").await;
    let ada = Owner::of("ada");
    let data = owned("one of many", ada).encode().unwrap();
    let rows = format!(
        "INSERT INTO session (session_key, session_data, session_expiry, collect_after, version, owner)
         SELECT encode(sha256(n::text::bytea), 'hex'), decode('{}', 'hex'), now() + interval '1 hour',
             now() + interval '1 hour', n, CASE WHEN n <= {MANY} THEN sha256('ada') ELSE sha256(n::text::bytea) END
         FROM generate_series(1, {MANY} + 1000) n",
        data.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
    );
    sql(&url, &rows).await;
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

async fn end_all(sessions: &PostgresProvider, owner: &Owner) -> usize {
    let mut ended = 0;
    loop {
        let some = sessions.end_owner(owner, 5_000).await.unwrap();
        assert!(some <= 5_000);
        ended += some;
        if some == 0 {
            return ended;
        }
    }
}

/// A concurrent logout and end of all the owner's sessions count each session once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn logouts_sign_ins_and_two_ends_of_all_sessions_do_not_block_each_other() {
    let (_, sessions) = start("end_twice").await;
    let sessions = Arc::new(sessions);
    for round in 0..20_u64 {
        let ada = Owner::of(&format!("ada-{round}"));
        let of_round = move |number: u64| hashed(round * 100 + number);
        for number in 0..20 {
            create(&*sessions, &of_round(number), &owned("a", ada)).await;
        }
        let enders = (0..2).map(|_| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { end_all(&sessions, &ada).await })
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
        ended += end_all(&sessions, &ada).await;
        assert_eq!(ended, 40, "round {round}");
    }
}
