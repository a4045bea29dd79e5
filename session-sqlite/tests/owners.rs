//! The sessions of an owner: beside requests that change them, many of them, and in a table of the
//! version before.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use session_core::accounts::Owner;
use session_core::engine::{Condition, Cursor, Indexed as _, Rename, Scan as _};
use session_core::record::{Body, Record, State};
use session_core::{ErrorKind, Provider as _};
use session_sqlite::SqliteProvider;
use support::*;

fn owned(value: u64, owner: Owner) -> Record {
    let mut record = record(value);
    record.header.owner = Some(owner);
    record
}

/// A file as the version before made it, without the index that has the key as well.
const BEFORE: &str = "DROP INDEX session_by_user;
                      CREATE INDEX session_by_owner ON session (owner) WHERE owner IS NOT NULL;";

#[tokio::test]
async fn a_table_of_the_version_before_gets_the_index_and_says_that_it_lacks_it() {
    let (provider, _, directory) = store().await;
    let ada = Owner::of("ada");
    create(&provider, &numbered(1), &owned(1, ada), DAY).await;
    sql(&file(&directory), BEFORE).await;
    let error = provider.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no index on (owner, session_key)"), "{error}");
    let place = file(&directory).display().to_string();
    let error = connect(&format!("sqlite:{place}?migrate=false")).await.unwrap_err();
    assert!(error.to_string().contains("no index on (owner, session_key)"), "{error}");

    for _ in 0..2 {
        provider.migrate().await.unwrap();
        provider.check().await.unwrap();
    }
    let indexes = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema \
                   WHERE type = 'index' AND sql IS NOT NULL ORDER BY name)";
    assert_eq!(ask::<String>(&file(&directory), indexes).await, "session_by_ending session_by_user");
    assert_eq!(provider.list(&ada, None, 10).await.unwrap().sessions.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_an_owner_is_left_after_zero_while_ids_are_replaced() {
    let (provider, _, _directory) = store().await;
    let provider = Arc::new(provider);
    for round in 0..10_u64 {
        let ada = Owner::of(&format!("ada-{round}"));
        let first = round * 100;
        for number in 0..8 {
            create(&provider, &numbered(first + number), &owned(number, ada), DAY).await;
        }
        let renames: Vec<_> =
            (0..8).map(|number| tokio::spawn(rename(Arc::clone(&provider), first, number))).collect();
        let mut ended = 0;
        loop {
            let some = provider.end_owner(&ada, 3).await.unwrap();
            ended += some;
            if some == 0 {
                break;
            }
        }
        for rename in renames {
            rename.await.unwrap();
        }
        assert_eq!(ended, 8, "round {round}");
        assert!(provider.list(&ada, None, 10).await.unwrap().sessions.is_empty(), "round {round}");
    }
}

/// Gives a session another id, if it is still there.
async fn rename(provider: Arc<SqliteProvider>, first: u64, number: u64) {
    let (old, new) = (numbered(first + number), numbered(first + 50 + number));
    let Some(over) = provider.read(&old, DAY).await.unwrap() else { return };
    let mut tombstone = Record::new(over.header.next(), Body::default());
    tombstone.header.state = State::Moved(new.clone());
    let moved = next(&over, number);
    provider.rename(&Rename::new((&old, over.stamp()), (&new, &moved, DAY), &tombstone)).await.unwrap();
}

#[tokio::test]
async fn a_walk_has_tombstones_and_neither_what_has_expired_nor_what_is_no_record() {
    let (provider, clock, directory) = store().await;
    let ada = Owner::of("ada");
    create(&provider, &numbered(0), &owned(0, ada), MINUTE).await;
    clock.advance(MINUTE);
    create(&provider, &numbered(1), &owned(1, ada), DAY).await;
    put_raw(&file(&directory), &numbered(3), b"x".to_vec(), &clock).await;
    let provider = Arc::new(provider);
    rename(Arc::clone(&provider), 1, 0).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = provider.scan(after.as_ref(), 1).await.unwrap();
        found.extend(page.sessions.into_iter().map(|listed| (listed.id, listed.record.header.state)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [(numbered(1), State::Moved(numbered(51))), (numbered(51), State::Live)]);
    let listed = provider.list(&ada, None, 10).await.unwrap().sessions;
    assert_eq!(listed.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&numbered(51)]);
    let error = provider.list(&ada, Some(&Cursor(Box::from(*b"\0"))), 1).await.unwrap_err();
    assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some("sqlite")));
}

/// More sessions than anybody should have.
const MANY: usize = 100_000;

#[tokio::test]
#[ignore = "takes a while: cargo xtask test"]
async fn a_hundred_thousand_sessions_of_an_owner_are_listed_and_ended_in_pages() {
    let (provider, _, directory) = store().await;
    let ada = Owner::of("ada");
    let template = numbered(0);
    provider.write(&template, &owned(1, ada), Condition::Absent, DAY).await.unwrap();
    let rows = format!(
        "INSERT INTO session (session_key, session_data, session_expiry, collect_after, version, owner)
         WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {MANY} - 1)
         SELECT printf('%064x', n * 7919 % 1000003), session_data, session_expiry, collect_after, version, owner
         FROM number JOIN session ON session_key = '{}'",
        template.to_text()
    );
    sql(&file(&directory), &rows).await;
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = provider.list(&ada, after.as_ref(), 1_000).await.unwrap();
        assert!(page.sessions.len() <= 1_000);
        found.extend(page.sessions.into_iter().map(|listed| listed.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), MANY);
    let mut ended = 0;
    loop {
        let some = provider.end_owner(&ada, 5_000).await.unwrap();
        assert!(some <= 5_000);
        ended += some;
        if some == 0 {
            break;
        }
    }
    assert_eq!((ended, provider.count().await.unwrap()), (MANY, Some(0)));
}
