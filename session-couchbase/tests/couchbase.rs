//! What is specific to Couchbase: compare tokens that change with every touch, touches that write,
//! logins, buckets. The server is CouchbaseMock.
#![allow(clippy::unwrap_used)] // helpers are test code too

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use session_conformance::samples::{IDLE, create, ending_in, id, next, over, session, text};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::record::State;
use session_core::{ConnectOptions, ErrorKind, Provider};
use session_couchbase::{CouchbaseConfig, CouchbaseProvider};
use session_servers::couchbase::CouchbaseMock;
use tokio::time::sleep;

async fn connect(server: &CouchbaseMock) -> CouchbaseProvider {
    CouchbaseProvider::connect(server.url().parse().unwrap()).await.unwrap()
}

fn commands<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn each_operation_takes_the_commands_that_are_documented() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    let id = id();
    let mut before = server.counts().unwrap();
    let mut step = |expected: BTreeMap<String, u64>| {
        let after = server.counts().unwrap();
        let added = after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)));
        assert_eq!(added.filter(|(_, count)| *count != 0).collect::<BTreeMap<_, _>>(), expected);
        before = after;
    };

    create(&provider, &id, &session("one")).await.unwrap();
    step(commands([("ADD", 1)]));
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    step(commands([("GET", 1)]));
    let WriteOutcome::Stored(stored) = over(&provider, &id, &seen, "two").await.unwrap() else { panic!() };
    step(commands([("REPLACE", 1)]));

    let WriteOutcome::Refused(refusal) = over(&provider, &id, &seen, "three").await.unwrap() else {
        panic!()
    };
    let current = refusal.current.unwrap();
    assert_eq!((text(&current).as_str(), current.cas), ("two", stored.cas));
    step(commands([("REPLACE", 1), ("GET", 1)]));

    assert!(provider.touch(&id, &current, IDLE).await.unwrap());
    step(commands([("REPLACE", 1)]));
    assert!(provider.exists(&id).await.unwrap());
    step(commands([("GET", 1)]));
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    assert!(matches!(provider.destroy(&id, Some(seen.stamp())).await.unwrap(), DestroyOutcome::Destroyed));
    step(commands([("GET", 1), ("DELETE", 1)]));

    create(&provider, &id, &session("again")).await.unwrap();
    step(commands([("ADD", 1)]));
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Destroyed));
    step(commands([("GET", 1), ("DELETE", 1)]));
    assert!(matches!(provider.destroy(&id, None).await.unwrap(), DestroyOutcome::Absent));
    step(commands([("GET", 1)]));
}

/// On a real server every touch changes the compare token, so readers must not make writers
/// conflict.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_compare_token_changed_by_a_touch_is_not_a_conflict() {
    let server = CouchbaseMock::start().unwrap();
    let (writer, reader) = (connect(&server).await, connect(&server).await);
    let id = id();
    create(&writer, &id, &session("one")).await.unwrap();
    let seen = writer.read(&id, IDLE).await.unwrap().unwrap();

    assert!(reader.touch(&id, &seen, IDLE * 2).await.unwrap());
    let touched = reader.read(&id, IDLE).await.unwrap().unwrap();
    assert_ne!(touched.cas, seen.cas);
    assert_eq!(touched.header.version(), seen.header.version());
    assert!(touched.header.deadline > seen.header.deadline);

    let stored = over(&writer, &id, &seen, "two").await.unwrap();
    assert!(matches!(stored, WriteOutcome::Stored(_)));
    let current = writer.read(&id, IDLE).await.unwrap().unwrap();
    assert_eq!(text(&current), "two");

    assert!(reader.touch(&id, &current, IDLE * 3).await.unwrap());
    assert!(matches!(writer.destroy(&id, Some(current.stamp())).await.unwrap(), DestroyOutcome::Destroyed));
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_touch_extends_the_deadline_and_never_undoes_a_write() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    let id = id();
    create(&provider, &id, &session("one")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    over(&provider, &id, &seen, "two").await.unwrap();

    // With the stamp from before the write: the written record is kept and touched.
    assert!(provider.touch(&id, &seen, IDLE * 2).await.unwrap());
    let current = provider.read(&id, IDLE).await.unwrap().unwrap();
    assert_eq!(text(&current), "two");
    assert!(current.header.deadline.since(seen.header.deadline) > IDLE / 2);
    // It was just touched: nothing to do.
    assert!(provider.touch(&id, &seen, IDLE * 2).await.unwrap());

    provider.destroy(&id, None).await.unwrap();
    assert!(!provider.touch(&id, &current, IDLE).await.unwrap());
    assert!(provider.read(&id, IDLE).await.unwrap().is_none(), "a touch brought it back");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn no_lifetime_exceeds_the_absolute_deadline_or_panics() {
    let server = CouchbaseMock::start().unwrap();
    let config: CouchbaseConfig = server.url().parse().unwrap();
    let config = config.timeout(Duration::MAX).unwrap().connect_timeout(Duration::MAX).unwrap();
    let provider = CouchbaseProvider::connect(config).await.unwrap();
    for lifetime in [Duration::MAX, Duration::from_secs(253_402_300_799), Duration::from_secs(86_400)] {
        let (id, record) = (id(), ending_in(Duration::from_secs(600), "x"));
        provider.write(&id, &record, Condition::Absent, lifetime).await.unwrap();
        let seen = provider.read(&id, lifetime).await.unwrap().unwrap();
        assert!(seen.header.deadline <= seen.header.absolute);
        let before = server.counts().unwrap();
        assert!(provider.touch(&id, &seen, lifetime).await.unwrap());
        let touched = provider.read(&id, lifetime).await.unwrap().unwrap();
        assert!(touched.header.deadline <= touched.header.absolute);
        // A deadline that cannot be later is not rewritten.
        assert!(provider.touch(&id, &seen, lifetime).await.unwrap());
        assert_eq!(server.counts().unwrap()["REPLACE"] - before.get("REPLACE").unwrap_or(&0), 2);
    }
    let id = id();
    provider.write(&id, &session("x"), Condition::Absent, Duration::ZERO).await.unwrap();
    assert!(provider.read(&id, Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn touches_extend_sessions_which_end_without_them() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    let id = id();
    let idle = Duration::from_secs(2);
    provider.write(&id, &session("x"), Condition::Absent, idle).await.unwrap();
    for _ in 0..3 {
        sleep(Duration::from_millis(1_500)).await;
        let seen = provider.read(&id, idle).await.unwrap().expect("kept by the touch before");
        assert!(provider.touch(&id, &seen, idle).await.unwrap());
    }
    let seen = provider.read(&id, idle).await.unwrap().unwrap();
    sleep(Duration::from_millis(2_100)).await;
    assert!(provider.read(&id, idle).await.unwrap().is_none());
    assert!(!provider.exists(&id).await.unwrap());
    assert!(!provider.touch(&id, &seen, idle).await.unwrap(), "a touch revived it");
    // The server removes it within two more seconds.
    sleep(Duration::from_secs(2)).await;
    assert!(matches!(over(&provider, &id, &seen, "late").await.unwrap(),
        WriteOutcome::Refused(refusal) if refusal.current.is_none()));
    create(&provider, &id, &session("new")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn lifetimes_above_thirty_days_are_kept() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    for days in [29, 30, 31, 400] {
        let id = id();
        let ttl = Duration::from_secs(days * 86_400);
        let record = ending_in(ttl * 2, "x");
        provider.write(&id, &record, Condition::Absent, ttl).await.unwrap();
        sleep(Duration::from_millis(1_100)).await;
        let read = provider.read(&id, ttl).await.unwrap().unwrap();
        let left = read.header.deadline.since(record.header.created);
        assert!(left >= ttl && left < ttl + Duration::from_secs(5), "{days} days: {left:?}");
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_session_past_its_absolute_deadline_is_gone_and_can_be_replaced() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    let id = id();
    create(&provider, &id, &ending_in(Duration::from_secs(1), "x")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    sleep(Duration::from_millis(1_100)).await;
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
async fn a_tombstone_is_not_a_session_and_a_logout_can_follow_it() {
    let server = CouchbaseMock::start().unwrap();
    let provider = connect(&server).await;
    let (old, new) = (id(), id());
    create(&provider, &old, &session("x")).await.unwrap();
    let seen = provider.read(&old, IDLE).await.unwrap().unwrap();
    let mut tombstone = next(&seen, "");
    tombstone.header.state = State::Moved(new.clone());
    tombstone.body.clear();
    let ttl = Duration::from_millis(1_500);
    provider.write(&old, &tombstone, Condition::Over(seen.stamp()), ttl).await.unwrap();

    assert!(!provider.exists(&old).await.unwrap());
    for expected in [None, Some(seen.stamp())] {
        let outcome = provider.destroy(&old, expected).await.unwrap();
        assert!(matches!(outcome, DestroyOutcome::Moved(to) if to == new));
    }
    sleep(Duration::from_millis(1_600)).await;
    assert!(provider.read(&old, IDLE).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_missing_bucket_and_a_refused_login_are_clear_errors_in_time() {
    let server = CouchbaseMock::start().unwrap();
    let connect = async |url: String| {
        let began = Instant::now();
        let config: CouchbaseConfig = url.replace(":session@", ":hunter2@").parse().unwrap();
        let config = config.connect_timeout(Duration::from_secs(3)).unwrap();
        let error = CouchbaseProvider::connect(config).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}: {error}", began.elapsed());
        assert_eq!(error.operation(), Some("connect"));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        (error.kind(), error.message().to_owned())
    };

    let (kind, message) = connect(server.url().replace("/session", "/no-such-bucket")).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("the bucket exists"), "{message}");

    server.deny_logins(true).unwrap();
    let (kind, message) = connect(server.url()).await;
    assert_eq!(kind, ErrorKind::Config);
    assert!(message.contains("the user and the password"), "{message}");

    server.process().pause().unwrap();
    sleep(Duration::from_millis(50)).await;
    let (kind, message) = connect(server.url()).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(message.contains("no server responds"), "{message}");

    server.process().kill().unwrap();
    assert_eq!(connect(server.url()).await.0, ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn refusals_of_the_server_are_reported_and_nothing_is_changed() {
    let server = CouchbaseMock::start().unwrap();
    let provider = session_core::connect("couchbase", ConnectOptions::new(&server.url())).await.unwrap();
    let id = id();
    create(&*provider, &id, &session("one")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    for (status, kind) in [
        ("ETMPFAIL", ErrorKind::Unavailable),
        ("LOCKED", ErrorKind::Unavailable),
        ("E2BIG", ErrorKind::TooLarge),
        ("EACCESS", ErrorKind::Config),
        ("EINTERNAL", ErrorKind::OutcomeUnknown),
    ] {
        server.fail(status, 20).unwrap();
        let began = Instant::now();
        let error = over(&*provider, &id, &seen, "two").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{status}: {:?}", began.elapsed());
        assert!(!format!("{error} {error:?}").contains(&id.to_text()), "{error:?}");
        server.fail(status, 0).unwrap();
        assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()), "one");
    }
    // Conditions that pass within a moment cause no error.
    server.fail("ETMPFAIL", 2).unwrap();
    assert!(matches!(over(&*provider, &id, &seen, "two").await.unwrap(), WriteOutcome::Stored(_)));
}
