//! What is specific to memcached: its commands and limits, lifetimes in ticks and dates, restarts,
//! several servers.

#![allow(clippy::unwrap_used)] // helpers are test code too

use std::collections::BTreeMap;
use std::time::Duration;

use session_conformance::samples::{IDLE, create, ending_in, id, next, over, session, text};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, State};
use session_core::{ErrorKind, Provider};
use session_memcache::{AsyncMetaClient, MemcacheConfig, MemcacheProvider};
use session_servers::memcached::{Memcached, ask};
use session_servers::proxy::Proxy;
use tokio::time::sleep;

fn provider(server: &Memcached) -> MemcacheProvider {
    MemcacheProvider::new(&server.url().parse().unwrap())
}

fn key(id: &StorageId) -> String {
    format!("session:{}", id.to_text())
}

/// The increase of the server's command counters during a step. `mg` with `T` counts only as
/// `cmd_touch`.
fn counted(server: &Memcached, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    const COMMANDS: [&str; 8] = [
        "cmd_get",
        "cmd_set",
        "cmd_touch",
        "get_hits",
        "cas_hits",
        "cas_misses",
        "cas_badval",
        "delete_hits",
    ];
    let after = server.stats().unwrap();
    let added = COMMANDS.map(|name| (name.to_owned(), after[name] - before[name]));
    added.into_iter().filter(|(_, count)| *count != 0).collect()
}

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn each_operation_takes_the_round_trips_and_commands_that_are_documented() {
    let server = Memcached::start().unwrap();
    let proxy = Proxy::start(server.process().address()).unwrap();
    let config = MemcacheConfig::new([proxy.address().to_string()]).unwrap();
    let provider = MemcacheProvider::connect(&config).await.unwrap();
    let id = id();

    let mut at = (proxy.counts(), server.stats().unwrap());
    let mut step = |trips: u64, commands: BTreeMap<String, u64>| {
        assert_eq!((proxy.counts() - at.0).round_trips, trips);
        assert_eq!(counted(&server, &at.1), commands);
        at = (proxy.counts(), server.stats().unwrap());
    };

    create(&provider, &id, &session("one")).await.unwrap();
    step(1, counts([("cmd_set", 1)]));

    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    step(1, counts([("cmd_touch", 1)]));

    let WriteOutcome::Stored(stored) = over(&provider, &id, &seen, "two").await.unwrap() else { panic!() };
    step(1, counts([("cmd_set", 1), ("cas_hits", 1)]));

    // An old stamp: refused, and one more round trip reads the current record.
    let WriteOutcome::Refused(refusal) = over(&provider, &id, &seen, "three").await.unwrap() else {
        panic!()
    };
    let current = refusal.current.unwrap();
    assert_eq!((text(&current).as_str(), current.cas), ("two", stored.cas));
    step(2, counts([("cmd_set", 1), ("cas_badval", 1), ("cmd_get", 1), ("get_hits", 1)]));

    // Without the engine's compare token the version is looked up first.
    let mut stamp = current.stamp();
    stamp.cas = 0;
    let written = provider.write(&id, &next(&current, "three"), Condition::Over(stamp), IDLE).await.unwrap();
    assert!(matches!(written, WriteOutcome::Stored(_)));
    step(2, counts([("cmd_get", 1), ("get_hits", 1), ("cmd_set", 1), ("cas_hits", 1)]));

    assert!(provider.exists(&id).await.unwrap());
    step(1, counts([("cmd_get", 1), ("get_hits", 1)]));

    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    let destroyed = provider.destroy(&id, Some(seen.stamp())).await.unwrap();
    assert!(matches!(destroyed, DestroyOutcome::Destroyed));
    step(2, counts([("cmd_touch", 1), ("delete_hits", 1)]));

    create(&provider, &id, &session("again")).await.unwrap();
    step(1, counts([("cmd_set", 1)]));
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
    step(2, counts([("cmd_get", 1), ("get_hits", 1), ("delete_hits", 1)]));
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Absent));
    assert_eq!(proxy.counts().connections, 1, "everything went over one connection");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_read_extends_the_idle_deadline_and_exists_does_not() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let id = id();
    let idle = Duration::from_secs(3);
    provider.write(&id, &session("x"), Condition::Absent, idle).await.unwrap();
    for _ in 0..3 {
        sleep(Duration::from_secs(2)).await;
        assert!(provider.read(&id, idle).await.unwrap().is_some(), "kept by the read before");
    }
    sleep(Duration::from_secs(2)).await;
    assert!(provider.exists(&id).await.unwrap());
    let refused = provider.write(&id, &session("y"), Condition::Absent, idle).await.unwrap();
    assert!(matches!(refused, WriteOutcome::Refused(refusal) if refusal.current.is_some()));
    sleep(Duration::from_secs(3)).await;
    assert!(provider.read(&id, idle).await.unwrap().is_none(), "kept by exists");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn lifetimes_of_a_second_and_of_a_year_are_kept_and_none_is_forever() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let seconds_left = |id: &StorageId| -> i64 {
        let answer = ask(server.process().address(), &format!("mg {} t", key(id))).unwrap();
        answer[0].strip_prefix("HD t").unwrap().parse().unwrap()
    };

    let brief = id();
    provider.write(&brief, &session("x"), Condition::Absent, Duration::from_secs(1)).await.unwrap();
    assert!((1..=2).contains(&seconds_left(&brief)));
    sleep(Duration::from_millis(900)).await;
    assert!(provider.exists(&brief).await.unwrap(), "not a moment too early");
    sleep(Duration::from_millis(1_300)).await;
    assert!(!provider.exists(&brief).await.unwrap());

    // Above thirty days memcached needs a date, and after 2038 it has none.
    for (days, expected) in [(29, 29), (30, 30), (31, 31), (365, 365)] {
        let id = id();
        let lifetime = Duration::from_secs(days * 86_400);
        let record = ending_in(Duration::from_secs(100_000 * 86_400), "x");
        provider.write(&id, &record, Condition::Absent, lifetime).await.unwrap();
        assert_eq!((seconds_left(&id) + 60) / 86_400, expected);
        let read = provider.read(&id, lifetime).await.unwrap().unwrap();
        assert_eq!((seconds_left(&id) + 60) / 86_400, expected);
        // The deadline in the header is the server's.
        let left = read.header.deadline.since(read.header.created).as_secs();
        assert!((days * 86_400..days * 86_400 + 10).contains(&left));
    }
    let id = id();
    let record = ending_in(Duration::from_secs(100_000 * 86_400), "x");
    provider.write(&id, &record, Condition::Absent, Duration::MAX).await.unwrap();
    assert!(seconds_left(&id) > 86_400 * 365);
    assert!(provider.read(&id, Duration::MAX).await.unwrap().is_some());
    assert!(seconds_left(&id) > 86_400 * 365);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_ends_at_its_absolute_deadline_despite_reads() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let id = id();
    let record = ending_in(Duration::from_secs(1), "x");
    create(&provider, &id, &record).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    sleep(Duration::from_millis(1_100)).await;
    assert!(ask(server.process().address(), &format!("mg {} t", key(&id))).unwrap()[0].starts_with("HD"));

    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    // A late write does not revive it: each record inherits the absolute deadline.
    over(&provider, &id, &seen, "late").await.unwrap();
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Absent));
    create(&provider, &id, &session("new")).await.unwrap();
    assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()), "new");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_lifetime_exceeds_the_absolute_deadline() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let id = id();
    let record = ending_in(Duration::from_secs(600), "x");
    provider.write(&id, &record, Condition::Absent, Duration::MAX).await.unwrap();
    let answer = ask(server.process().address(), &format!("mg {} t", key(&id))).unwrap();
    let left: u64 = answer[0].strip_prefix("HD t").unwrap().parse().unwrap();
    assert!((590..=601).contains(&left), "{left}");
    let read = provider.read(&id, Duration::MAX).await.unwrap().unwrap();
    assert_eq!(read.header.deadline, read.header.absolute);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_of_a_newer_version_is_not_read_and_can_be_logged_out() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let client = AsyncMetaClient::connect(server.process().address()).await.unwrap();
    for with_stamp in [false, true] {
        let id = id();
        create(&provider, &id, &session("x")).await.unwrap();
        let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
        let mut newer = seen.encode().unwrap();
        newer[3] = 200;
        client.set(key(&id), &newer).ttl_raw(100).send().await.unwrap();
        assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unsupported);
        let error = over(&provider, &id, &seen, "late").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "it is not overwritten");
        let outcome = provider.destroy(&id, with_stamp.then(|| seen.stamp())).await.unwrap();
        assert!(matches!(outcome, DestroyOutcome::Destroyed), "{outcome:?}");
        assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_record_above_the_limit_is_too_large_and_the_old_one_is_kept() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let id = id();
    let limit = provider.capabilities().max_record_bytes.unwrap();
    let sized = |seen: &Record, bytes: usize| {
        let overhead = next(seen, &"x".repeat(bytes)).encode().unwrap().len() - bytes;
        next(seen, &"x".repeat(bytes - overhead))
    };

    create(&provider, &id, &session("small")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    let too_large = sized(&seen, limit + 1);
    assert_eq!(too_large.encode().unwrap().len(), limit + 1);
    let error = provider.write(&id, &too_large, Condition::Over(seen.stamp()), IDLE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains(&limit.to_string()), "{error}");
    assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()), "small");

    let largest = sized(&seen, limit);
    assert_eq!(largest.encode().unwrap().len(), limit);
    let stored = provider.write(&id, &largest, Condition::Over(seen.stamp()), IDLE).await.unwrap();
    assert!(matches!(stored, WriteOutcome::Stored(_)));
    assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()).len(), text(&largest).len());
}

/// Why nothing above `item_max` is sent.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_with_a_smaller_limit_reports_it_and_drops_the_stored_item() {
    let server = Memcached::start_with(&["-I", "512k"]).unwrap();
    let provider = provider(&server);
    let id = id();
    create(&provider, &id, &session("small")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    let error = over(&provider, &id, &seen, &"x".repeat(700_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains("item_max"), "{error}");
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());

    let told: MemcacheConfig = format!("{}/?item_max=524288", server.url()).parse().unwrap();
    let provider = MemcacheProvider::new(&told);
    create(&provider, &id, &session("small")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    let error = over(&provider, &id, &seen, &"x".repeat(700_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()), "small");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn an_evicted_session_is_not_found_and_a_server_that_may_not_evict_is_full() {
    for (arguments, full) in [(&["-m", "4"][..], false), (&["-m", "4", "-M"][..], true)] {
        let server = Memcached::start_with(arguments).unwrap();
        let provider = provider(&server);
        let first = id();
        create(&provider, &first, &session("first")).await.unwrap();
        let mut refused = None;
        for _ in 0..400 {
            if let Err(error) = create(&provider, &id(), &session(&"x".repeat(100_000))).await {
                refused = Some(error.kind());
                break;
            }
        }
        assert_eq!(refused, full.then_some(ErrorKind::Full));
        assert_eq!(server.stats().unwrap()["evictions"] > 0, !full);
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_without_compare_tokens_is_a_configuration_error() {
    let server = Memcached::start_with(&["-C"]).unwrap();
    let provider = provider(&server);
    let id = id();
    provider.write(&id, &session("x"), Condition::Absent, IDLE).await.unwrap();
    let error = provider.read(&id, IDLE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("-C"), "{error}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_foreign_item_is_corrupt_and_a_logout_removes_it() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    for data in ["ms {key} 5 T100\r\nhello", "ms {key} 0 T100\r\n"] {
        let id = id();
        ask(server.process().address(), &data.replace("{key}", &key(&id))).unwrap();
        assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
        assert!(provider.read(&id, IDLE).await.unwrap().is_none());
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_tombstone_is_not_a_session_and_neither_extended_by_reads_nor_removed_by_logouts() {
    let server = Memcached::start().unwrap();
    let provider = provider(&server);
    let (old, new) = (id(), id());
    create(&provider, &old, &session("x")).await.unwrap();
    let seen = provider.read(&old, IDLE).await.unwrap().unwrap();
    let mut tombstone = next(&seen, "");
    tombstone.header.state = State::Moved(new.clone());
    tombstone.body.clear();
    let ttl = Duration::from_millis(1_500);
    let stored = provider.write(&old, &tombstone, Condition::Over(seen.stamp()), ttl).await.unwrap();
    assert!(matches!(stored, WriteOutcome::Stored(_)));

    assert!(!provider.exists(&old).await.unwrap());
    assert!(matches!(provider.read(&old, IDLE).await.unwrap().unwrap().header.state, State::Moved(_)));
    for expected in [None, Some(seen.stamp())] {
        let outcome = provider.destroy(&old, expected).await.unwrap();
        assert!(matches!(outcome, DestroyOutcome::Moved(to) if to == new));
    }
    sleep(Duration::from_millis(1_600)).await;
    assert!(provider.read(&old, IDLE).await.unwrap().is_none());
    assert!(matches!(provider.destroy(&old, None).await.unwrap(), DestroyOutcome::Absent));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_client_of_the_application_is_used_and_outlives_a_failure() {
    let server = Memcached::start().unwrap();
    let client = AsyncMetaClient::connect(server.process().address()).await.unwrap();
    let provider = MemcacheProvider::new(&"unused".parse().unwrap()).client(client.clone());
    let id = id();
    create(&provider, &id, &session("x")).await.unwrap();
    assert!(client.get(key(&id)).send().await.unwrap().hit());
    server.process().kill().unwrap();
    sleep(Duration::from_millis(20)).await;
    assert_eq!(provider.read(&id, IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.process().restart().unwrap();
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_fails_only_if_no_server_responds() {
    let server = Memcached::start().unwrap();
    let connect = async |config: &str| MemcacheProvider::connect(&config.parse().unwrap()).await;
    assert!(connect(&format!("127.0.0.1:1;{}", server.process().address())).await.is_ok());
    let error = connect("127.0.0.1:1").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("connect")));
    let error = connect("no-such-host.invalid").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("name cannot be resolved"), "{error}");
}
