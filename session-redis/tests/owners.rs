//! The owner index: its cost, its state after a crash, and its clean-up.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{Client, cmd};
use session_core::accounts::Owner;
use session_core::clock::{Clock as _, SystemClock};
use session_core::engine::{Condition, Cursor, DestroyOutcome, Indexed as _, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{ErrorKind, Provider};
use session_redis::RedisProvider;
use session_servers::proxy::Proxy;
use session_servers::redis::Redis;
use support::{IDLE, config, connect, id, next, proxied, session};

const ADA: Owner = Owner([7; 32]);
const BOB: Owner = Owner([9; 32]);
const EVE: Owner = Owner([11; 32]);

fn owned(owner: Owner) -> Record {
    let mut record = session(1);
    record.header.owner = Some(owner);
    record
}

async fn create(provider: &RedisProvider, record: &Record) -> StorageId {
    let id = id();
    let outcome = provider.write(&id, record, Condition::Absent, IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
    id
}

async fn replace(provider: &RedisProvider, id: &StorageId, before: &Record, owner: Option<Owner>) -> Record {
    let mut record = next(before, 2);
    record.header.owner = owner;
    let outcome = provider.write(id, &record, Condition::Over(before.stamp()), IDLE).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
    record
}

async fn ids(provider: &RedisProvider, owner: &Owner) -> BTreeSet<StorageId> {
    let page = provider.list(owner, None, 100).await.unwrap();
    page.sessions.into_iter().map(|listed| listed.id).collect()
}

fn index(owner: &Owner) -> String {
    format!("session:owner~{}", StorageId::from_hash(owner.0).to_text())
}

async fn raw(server: &Redis) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn entries(connection: &mut MultiplexedConnection, owner: &Owner) -> usize {
    cmd("ZCARD").arg(index(owner)).query_async(connection).await.unwrap()
}

/// Adds an entry with the given age, for a session that ends at `deadline`.
async fn plant(
    connection: &mut MultiplexedConnection,
    owner: &Owner,
    id: &StorageId,
    deadline: u64,
    age: Duration,
) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - age.as_secs();
    let score = format!("{deadline}.{:010}", (seconds / 16 % 1024) * 9_765_625);
    let member = Cursor::after(id).0;
    cmd("ZADD").arg(index(owner)).arg(score).arg(&member[..]).exec_async(connection).await.unwrap();
}

/// Waits until an index has `expected` entries.
async fn wait_for_entries(connection: &mut MultiplexedConnection, owner: &Owner, expected: usize) {
    for _ in 0..6_000 {
        if entries(connection, owner).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} entries and not {expected}", entries(connection, owner).await);
}

/// The round trips of each call, counted in front of the server: an entry costs none on one server,
/// and one more in a cluster; an application's connection is treated like a cluster.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_entry_costs_no_round_trip_on_one_server_and_one_in_a_cluster() {
    let server = Redis::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let own = Client::open(proxied(&proxy)).unwrap().get_multiplexed_async_connection().await.unwrap();
    let apart = RedisProvider::from_connection(own);
    let one = connect(&proxied(&proxy)).await;
    for (provider, created, kept, moved) in [(one, 1, 1, 1), (apart, 2, 1, 3)] {
        // From here on, the server knows the scripts.
        for (first, last) in [(Some(ADA), Some(BOB)), (None, Some(ADA))] {
            let mut record = session(1);
            record.header.owner = first;
            let warm = create(&provider, &record).await;
            replace(&provider, &warm, &record, last).await;
            ids(&provider, &BOB).await;
            for owner in [ADA, BOB] {
                while provider.end_owner(&owner, 100).await.unwrap() > 0 {}
            }
        }
        let trips =
            async |what: &str, expected: u64, work: std::pin::Pin<Box<dyn Future<Output = ()> + '_>>| {
                // Background commands are done before.
                tokio::time::sleep(Duration::from_millis(200)).await;
                let before = proxy.counts();
                work.await;
                assert_eq!((proxy.counts() - before).round_trips, expected, "{what}, {provider:?}");
            };
        let (id, first) = (id(), owned(ADA));
        let create = async {
            provider.write(&id, &first, Condition::Absent, IDLE).await.unwrap();
        };
        trips("create", created, Box::pin(create)).await;
        let mut second = next(&first, 2);
        second.header.owner = Some(ADA);
        let same = async {
            provider.write(&id, &second, Condition::Over(first.stamp()), IDLE).await.unwrap();
        };
        trips("a write by the same owner", kept, Box::pin(same)).await;
        let read = async {
            provider.read(&id, IDLE).await.unwrap().unwrap();
        };
        trips("read", 1, Box::pin(read)).await;
        let mut third = next(&second, 3);
        third.header.owner = Some(BOB);
        let before = proxy.counts();
        provider.write(&id, &third, Condition::Over(second.stamp()), IDLE).await.unwrap();
        let counted = (proxy.counts() - before).round_trips;
        // The removal of the old owner's entry may have started.
        assert!((moved..=moved + 1).contains(&counted), "another owner: {counted}");
        assert_eq!(ids(&provider, &BOB).await, BTreeSet::from([id.clone()]));
        assert!(ids(&provider, &ADA).await.is_empty());
        let destroyed = provider.destroy(&id, Some(third.stamp())).await.unwrap();
        assert!(matches!(destroyed, DestroyOutcome::Destroyed));
    }
    let provider = connect(&proxied(&proxy)).await;
    for _ in 0..100 {
        create(&provider, &owned(EVE)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = proxy.counts();
    assert_eq!(ids(&provider, &EVE).await.len(), 100);
    assert_eq!((proxy.counts() - before).round_trips, 2, "a list of a hundred");
    let before = proxy.counts();
    assert_eq!(provider.end_owner(&EVE, 100).await.unwrap(), 100);
    assert_eq!((proxy.counts() - before).round_trips, 4, "the end of a hundred");
}

/// A crash between the index and the record leaves an entry without a record. It is not listed, and
/// is removed once it is too old to belong to a pending write; so is the entry of a session that
/// has another owner.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn leftovers_of_a_crash_are_removed_and_never_listed() {
    for server in [Redis::start().unwrap(), Redis::start_valkey(&[]).unwrap(), Redis::start_6_2(&[]).unwrap()]
    {
        let (provider, mut connection) = (connect(&server.url()).await, raw(&server).await);
        let own = RedisProvider::from_connection(raw(&server).await);
        let kept = create(&provider, &owned(ADA)).await;
        let foreign = create(&provider, &owned(BOB)).await;
        let nobodys = create(&provider, &session(1)).await;
        let deadline = SystemClock.now().as_millis() + 3_600_000;
        for (reader, age, left) in [
            (&own, Duration::from_secs(40), 4),
            (&provider, Duration::from_secs(40), 4),
            (&own, Duration::from_secs(97), 1),
        ] {
            for id in [&id(), &foreign, &nobodys] {
                plant(&mut connection, &ADA, id, deadline, age).await;
            }
            assert_eq!(ids(reader, &ADA).await, BTreeSet::from([kept.clone()]), "{age:?}");
            if left == 4 {
                // Their records may still be written.
                assert_eq!(entries(&mut connection, &ADA).await, left);
                cmd("ZREMRANGEBYRANK")
                    .arg(index(&ADA))
                    .arg(0)
                    .arg(-1)
                    .exec_async(&mut connection)
                    .await
                    .unwrap();
                plant(&mut connection, &ADA, &kept, deadline + 1, Duration::from_secs(97)).await;
            } else {
                assert_eq!(entries(&mut connection, &ADA).await, left);
            }
        }
        assert_eq!(ids(&provider, &BOB).await, BTreeSet::from([foreign]));
        // Entries that no client can have written are removed, too.
        cmd("ZADD").arg(index(&ADA)).arg("1.5").arg("?").exec_async(&mut connection).await.unwrap();
        assert_eq!(ids(&provider, &ADA).await.len(), 1);
    }
}

/// The index lives as long as its longest session, and drops entries of sessions that have ended.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_index_expires_with_its_longest_session_and_drops_expired_entries() {
    let server = Redis::start().unwrap();
    let (provider, mut connection) = (connect(&server.url()).await, raw(&server).await);
    let now = SystemClock.now();
    let hour = Duration::from_secs(3_600);
    for age in [2, 3] {
        plant(&mut connection, &ADA, &id(), now.as_millis() - age * 3_600_000, hour).await;
    }
    plant(&mut connection, &ADA, &id(), now.as_millis() - 1_800_000, hour).await;
    for (hours, expected) in [(1, 1), (10, 10), (2, 10)] {
        let mut record = owned(ADA);
        record.header.absolute = now.after(hour * hours);
        create(&provider, &record).await;
        let life: i64 = cmd("PTTL").arg(index(&ADA)).query_async(&mut connection).await.unwrap();
        let expected = i64::from(expected + 1) * 3_600_000;
        assert!((expected - 60_000..=expected).contains(&life), "{life} of {expected}");
    }
    assert_eq!(entries(&mut connection, &ADA).await, 4, "three, and one that ended half an hour ago");

    // A later deadline of the same id moves the entry.
    let record = owned(BOB);
    let id = create(&provider, &record).await;
    let mut renewed = next(&record, 2);
    renewed.header.owner = Some(BOB);
    renewed.header.absolute = now.after(hour * 100);
    provider.write(&id, &renewed, Condition::Over(record.stamp()), IDLE).await.unwrap();
    let (score, life): (f64, i64) = (
        cmd("ZSCORE")
            .arg(index(&BOB))
            .arg(&Cursor::after(&id).0[..])
            .query_async(&mut connection)
            .await
            .unwrap(),
        cmd("PTTL").arg(index(&BOB)).query_async(&mut connection).await.unwrap(),
    );
    #[allow(clippy::cast_precision_loss)] // 41 bits
    let deadline = renewed.header.absolute.as_millis() as f64;
    assert!((deadline..deadline + 1.0).contains(&score) && life > 100 * 3_600_000);
}

/// A session that expires leaves its entry; every 128th new entry removes such entries.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_index_does_not_grow_without_bound() {
    let server = Redis::start().unwrap();
    let mut connection = raw(&server).await;
    for provider in [connect(&server.url()).await, RedisProvider::from_connection(raw(&server).await)] {
        let deadline = SystemClock.now().as_millis() + 3_600_000;
        for _ in 0..127 {
            plant(&mut connection, &ADA, &id(), deadline, Duration::from_secs(600)).await;
        }
        let kept = create(&provider, &owned(ADA)).await;
        wait_for_entries(&mut connection, &ADA, 1).await;
        assert_eq!(ids(&provider, &ADA).await, BTreeSet::from([kept.clone()]));

        // So does the end of a session, unless the session is new.
        plant(&mut connection, &ADA, &kept, deadline, Duration::from_secs(600)).await;
        provider.destroy(&kept, None).await.unwrap();
        wait_for_entries(&mut connection, &ADA, 0).await;
    }
}

/// If the index cannot be written, the record is not written either.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn without_its_entry_no_record_is_written() {
    let server = Redis::start().unwrap();
    let mut connection = raw(&server).await;
    for provider in [connect(&server.url()).await, RedisProvider::from_connection(raw(&server).await)] {
        cmd("SET").arg(index(&ADA)).arg("something else").exec_async(&mut connection).await.unwrap();
        let fresh = id();
        let refused = provider.write(&fresh, &owned(ADA), Condition::Absent, IDLE).await.unwrap_err();
        assert_ne!(refused.kind(), ErrorKind::OutcomeUnknown, "{refused:?}");
        assert!(!provider.exists(&fresh).await.unwrap());
        let record = owned(BOB);
        let bobs = create(&provider, &record).await;
        let mut taken = next(&record, 2);
        taken.header.owner = Some(ADA);
        provider.write(&bobs, &taken, Condition::Over(record.stamp()), IDLE).await.unwrap_err();
        let left = provider.read(&bobs, IDLE).await.unwrap().unwrap();
        assert_eq!((left.header.owner, left.stamp()), (Some(BOB), record.stamp()));
        assert!(ids(&provider, &BOB).await.contains(&bobs));
        cmd("DEL").arg(index(&ADA)).exec_async(&mut connection).await.unwrap();
    }
}

/// An index that was evicted, or that an older version did not keep, is restored by the next write
/// of each session.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_written_session_restores_its_entry() {
    let server = Redis::start().unwrap();
    let (provider, mut connection) = (connect(&server.url()).await, raw(&server).await);
    let record = owned(ADA);
    let id = create(&provider, &record).await;
    cmd("DEL").arg(index(&ADA)).exec_async(&mut connection).await.unwrap();
    assert!(ids(&provider, &ADA).await.is_empty());
    replace(&provider, &id, &record, Some(ADA)).await;
    assert_eq!(ids(&provider, &ADA).await, BTreeSet::from([id]));
}

/// The rights in docs/redis.md are sufficient, and connecting reports a missing one.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn the_documented_rights_are_enough() {
    let server = Redis::start().unwrap();
    let docs = include_str!("../../docs/redis.md");
    let rule = docs.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER app on >secret ")).unwrap();
    let rights: Vec<_> = rule.split(' ').collect();
    let url = format!("redis://app:secret@{}", server.process().address());
    server.cli(&[&["ACL", "SETUSER", "app", "on", ">secret", "+info"][..], &rights].concat()).unwrap();
    let provider = connect(&url).await;
    let record = owned(ADA);
    let id = create(&provider, &record).await;
    create(&provider, &record).await;
    let first = provider.list(&ADA, None, 1).await.unwrap();
    assert_eq!(provider.list(&ADA, first.next.as_ref(), 1).await.unwrap().sessions.len(), 1);
    let record = replace(&provider, &id, &record, Some(BOB)).await;
    replace(&provider, &id, &record, None).await;
    assert!(ids(&provider, &BOB).await.is_empty());
    assert_eq!(provider.end_owner(&ADA, 10).await.unwrap(), 1);
    let walk = provider.as_scan().unwrap().scan(None, 100).await.unwrap();
    assert_eq!(walk.sessions.len(), 1);

    server.cli(&["ACL", "SETUSER", "app", "-zadd"]).unwrap();
    let error = config(&url).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

/// Large records are written by another script.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_large_record_moves_to_its_owner_as_well() {
    let server = Redis::start().unwrap();
    for provider in [
        connect(&server.url()).await,
        config(&format!("{}?protocol=resp2", server.url())).connect().await.unwrap(),
    ] {
        let mut record = owned(ADA);
        record.body.insert("text", session_core::record::Value::encode(&"x".repeat(8_000)).unwrap());
        let id = create(&provider, &record).await;
        assert_eq!(ids(&provider, &ADA).await, BTreeSet::from([id.clone()]));
        for owner in [Some(BOB), None, Some(ADA)] {
            let mut moved = Record::new(record.header.next(), record.body.clone());
            moved.header.owner = owner;
            let outcome = provider.write(&id, &moved, Condition::Over(record.stamp()), IDLE).await.unwrap();
            assert!(matches!(outcome, WriteOutcome::Stored(_)), "{outcome:?}");
            record = moved;
            for candidate in [ADA, BOB] {
                let expected = usize::from(owner == Some(candidate));
                assert_eq!(ids(&provider, &candidate).await.len(), expected, "{owner:?}");
            }
        }
        assert_eq!(provider.end_owner(&ADA, 10).await.unwrap(), 1);
    }
}

/// Ten thousand sessions of one owner, all with the same deadline, in pages; entries leave and come
/// between pages.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn ten_thousand_sessions_of_an_owner_are_listed_and_ended() {
    const COUNT: usize = 10_000;
    let server = Redis::start().unwrap();
    let provider = connect(&server.url()).await;
    let record = owned(ADA);
    let mut creating = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (provider, record) = (provider.clone(), record.clone());
        creating.spawn(async move {
            for _ in 0..COUNT / 20 {
                create(&provider, &record).await;
            }
        });
    }
    creating.join_all().await;
    let (mut found, mut after, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let page = provider.list(&ADA, after.as_ref(), 100).await.unwrap();
        pages += 1;
        for listed in &page.sessions {
            assert!(found.insert(listed.id.clone()), "listed twice");
        }
        // The last session of the page ends; the next page begins after its position.
        if pages % 10 == 0 {
            let last = page.sessions.last().unwrap();
            assert!(matches!(provider.destroy(&last.id, None).await.unwrap(), DestroyOutcome::Destroyed));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), COUNT);
    let mut ended = 0;
    loop {
        match provider.end_owner(&ADA, 100).await.unwrap() {
            0 => break,
            some => ended += some,
        }
    }
    assert_eq!(ended, COUNT - pages / 10);
    assert_eq!(provider.count().await.unwrap(), Some(0));
}
