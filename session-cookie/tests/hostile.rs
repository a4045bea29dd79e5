//! Cookies that were sealed with another key or for another cookie, or have expired.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_cookie::CookieProvider;
use session_core::clock::{ManualClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value};
use session_core::{ErrorKind, Provider, Secret};

const SCOPE: &str = "14:__Host-session0:";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const HOUR: Duration = Duration::from_secs(3_600);

struct Setup {
    provider: CookieProvider,
    clock: ManualClock,
}

fn setup(key: &str, scope: &str) -> Setup {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let builder = CookieProvider::builder().key(Secret::new(key)).clock(Arc::new(clock.clone()));
    let provider = builder.build().unwrap();
    provider.bind(scope).unwrap();
    Setup { provider, clock }
}

impl Setup {
    fn record(&self, value: &str) -> Record {
        use session_core::clock::Clock as _;
        let now = self.clock.now();
        let mut body = Body::default();
        body.insert("user", Value::encode(value).unwrap());
        Record::new(Header::new(now, now.after(2 * HOUR), now.after(HOUR)), body)
    }

    async fn write(&self, record: &Record) -> Result<Token, ErrorKind> {
        let nowhere = StorageId::plain("new").unwrap();
        match self.provider.write(&nowhere, record, Condition::Absent, HOUR).await {
            Ok(WriteOutcome::Stored(stored)) => Ok(stored.token.expect("the client holds the record")),
            Ok(WriteOutcome::Refused(_)) => panic!("nothing is ever refused"),
            Err(error) => Err(error.kind()),
        }
    }

    async fn read(&self, token: &str) -> Option<Record> {
        let id = StorageId::plain(token).ok()?;
        let read = self.provider.read(&id, HOUR).await.unwrap();
        assert_eq!(self.provider.exists(&id).await.unwrap(), read.is_some());
        let destroyed = self.provider.destroy(&id, None).await.unwrap();
        assert_eq!(matches!(destroyed, DestroyOutcome::Destroyed), read.is_some());
        // The engine's compare token, the session id, is not part of the written record.
        read.map(|record| Record { cas: 0, ..record })
    }
}

#[tokio::test]
async fn a_record_is_read_with_the_deadline_of_its_write() {
    let setup = setup(KEY, SCOPE);
    let record = setup.record("ada");
    let token = setup.write(&record).await.unwrap();
    assert!(token.expose().starts_with('A'), "the format is the first byte");
    assert_eq!(setup.read(token.expose()).await, Some(record));
}

/// A cookie that does not open is not a session, and there is no fallback.
#[tokio::test]
async fn a_foreign_cookie_is_not_a_session() {
    let ours = setup(KEY, SCOPE);
    let record = ours.record("ada");
    let token = ours.write(&record).await.unwrap();
    let good = token.expose();
    let replaced = |at: usize| {
        let other = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    };
    let mut hostile = vec![
        ("10 kB", "A".repeat(10_000)),
        ("4 kB", "A".repeat(4_096)),
        ("one letter", "A".into()),
        ("another alphabet", good.replace(|it: char| it.is_ascii_digit(), ".")),
        ("longer", format!("{good}AAAA")),
        ("twice", format!("{good}{good}")),
        ("padded", format!("{good}=")),
        ("a path", "../../../etc/passwd".into()),
    ];
    hostile.extend((0..good.len()).map(|length| ("truncated", good[..length].to_owned())));
    hostile.extend((0..good.len()).map(|at| ("changed", replaced(at))));
    for (key, scope, what) in [
        ("another key, which is long enough", SCOPE, "another key"),
        (KEY, "2:id0:", "another cookie"),
        (KEY, "14:__Host-session11:example.com", "another domain"),
    ] {
        let other = setup(key, scope);
        hostile.push((what, other.write(&record).await.unwrap().expose().to_owned()));
    }
    // The id of another key in front of a record sealed with this key.
    let theirs = setup("another key, which is long enough", SCOPE).write(&record).await.unwrap();
    hostile.push(("a swapped key id", format!("{}{}", &theirs.expose()[..8], &good[8..])));
    for (what, token) in hostile {
        assert_eq!(ours.read(&token).await, None, "{what}: {token}");
    }
    let unknown = StorageId::of(&Token::new(good).unwrap());
    assert!(ours.provider.read(&unknown, HOUR).await.unwrap().is_none(), "a hash is no token");
    assert_eq!(ours.read(good).await, Some(record), "the good one is still good");
}

#[tokio::test]
async fn a_replayed_cookie_ends_at_its_deadlines_and_not_before() {
    let setup = setup(KEY, SCOPE);
    let first = setup.write(&setup.record("before")).await.unwrap();
    setup.clock.advance(Duration::from_millis(3_599_999));
    assert!(setup.read(first.expose()).await.is_some(), "also an older one, which the docs say");
    setup.clock.advance(Duration::from_millis(1));
    assert!(setup.read(first.expose()).await.is_none(), "the idle deadline");

    let record = setup.record("after");
    let mut alive = Vec::new();
    for _ in 0..4 {
        let token = setup.write(&record).await.unwrap();
        setup.clock.advance(HOUR / 2);
        alive.push(setup.read(token.expose()).await.is_some());
    }
    assert_eq!(
        alive,
        [true, true, true, false],
        "writing again does not move the absolute deadline of two hours"
    );
    let late = setup.write(&record).await.unwrap();
    assert!(setup.read(late.expose()).await.is_none(), "nor does writing after it");
}

#[tokio::test]
async fn a_session_without_an_absolute_deadline_is_not_sealed() {
    let setup = setup(KEY, SCOPE);
    let mut record = setup.record("ada");
    record.header.absolute = Timestamp::MAX;
    assert_eq!(setup.write(&record).await.unwrap_err(), ErrorKind::Config);
}

#[tokio::test]
async fn a_cookie_that_browsers_would_drop_is_refused_as_too_large() {
    let setup = setup(KEY, SCOPE);
    let limit = setup.provider.capabilities().max_record_bytes.unwrap();
    let of_length = |length: usize| {
        let mut record = setup.record("");
        let without = record.encode().unwrap().len();
        record.body.insert("x", Value::encode(&"x".repeat(length - without - 8)).unwrap());
        record
    };
    let mut lengths = Vec::new();
    for record in (limit - 8..limit + 16).map(of_length) {
        let length = record.encode().unwrap().len();
        let written = setup.write(&record).await;
        match &written {
            Ok(token) => assert!("__Host-session".len() + token.expose().len() <= 4_096),
            Err(kind) => assert_eq!(*kind, ErrorKind::TooLarge),
        }
        assert_eq!(written.is_ok(), length <= limit, "{length} of {limit}");
        lengths.push(length);
    }
    assert!(lengths.contains(&limit) && lengths.contains(&(limit + 1)));
}

#[tokio::test]
async fn a_provider_serves_one_cookie_and_none_before_it_is_bound() {
    let provider = CookieProvider::builder().key(Secret::new(KEY)).build().unwrap();
    let id = StorageId::plain("x").unwrap();
    assert_eq!(provider.read(&id, HOUR).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(provider.exists(&id).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(provider.destroy(&id, None).await.unwrap_err().kind(), ErrorKind::Config);
    let record = setup(KEY, SCOPE).record("ada");
    let write = provider.write(&id, &record, Condition::Absent, HOUR).await;
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Config);
    provider.bind(SCOPE).unwrap();
    provider.bind(SCOPE).unwrap();
    assert_eq!(provider.bind("2:id0:").unwrap_err().kind(), ErrorKind::Config);
}
