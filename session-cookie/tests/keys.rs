//! Keys: weak ones are refused, all can be rotated, and none is ever shown.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::time::Duration;

use session_cookie::{CookieBuilder, CookieProvider};
use session_core::clock::{Clock as _, SystemClock};
use session_core::engine::{Condition, WriteOutcome};
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record};
use session_core::{ConnectOptions, ErrorKind, Provider, Secret};

const OLD: &str = "the old key, which is long enough";
const NEW: &str = "the new key, which is long enough";
const HOUR: Duration = Duration::from_secs(3_600);

fn provider(config: &str) -> CookieProvider {
    let provider = CookieBuilder::from_json(config).and_then(CookieBuilder::build).unwrap();
    provider.bind("11:gosessionid0:").unwrap();
    provider
}

async fn sealed_by(provider: &CookieProvider) -> Token {
    let now = SystemClock.now();
    let record = Record::new(Header::new(now, now.after(HOUR), now.after(HOUR)), Body::default());
    let id = StorageId::plain("new").unwrap();
    match provider.write(&id, &record, Condition::Absent, HOUR).await.unwrap() {
        WriteOutcome::Stored(stored) => stored.token.unwrap(),
        WriteOutcome::Refused(_) => panic!("nothing is ever refused"),
    }
}

async fn opens(provider: &CookieProvider, token: &Token) -> bool {
    provider.exists(&StorageId::plain(token.expose()).unwrap()).await.unwrap()
}

async fn refusal(config: &str) -> String {
    let error = session_core::connect("cookie", ConnectOptions::new(config)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.engine(), Some("cookie"));
    error.to_string()
}

#[tokio::test]
async fn the_first_key_seals_and_all_keys_open() {
    let before = provider(&format!(r#"{{"securityKey":"{OLD}"}}"#));
    let after = provider(&format!(r#"{{"securityKey":"{NEW}","previousKeys":["{OLD}"]}}"#));
    let old = sealed_by(&before).await;
    let new = sealed_by(&after).await;
    assert!(opens(&after, &old).await && opens(&after, &new).await);
    assert!(!opens(&before, &new).await, "the new key seals");
    let dropped = provider(&format!(r#"{{"securityKey":"{NEW}"}}"#));
    assert!(!opens(&dropped, &old).await && opens(&dropped, &new).await);

    let built =
        CookieProvider::builder().key(Secret::new(NEW)).previous_key(Secret::new(OLD)).build().unwrap();
    built.bind("11:gosessionid0:").unwrap();
    assert!(opens(&built, &old).await && opens(&built, &new).await);
    assert!(opens(&dropped, &sealed_by(&built).await).await);
}

#[tokio::test]
async fn a_block_key_and_a_name_are_part_of_the_key() {
    let both = provider(&format!(r#"{{"securityKey":"{OLD}","blockKey":"b","securityName":"n"}}"#));
    let token = sealed_by(&both).await;
    assert!(opens(&both, &token).await);
    for other in [
        format!(r#"{{"securityKey":"{OLD}","blockKey":"b"}}"#),
        format!(r#"{{"securityKey":"{OLD}","securityName":"n"}}"#),
        format!(r#"{{"securityKey":"{OLD}","blockKey":"c","securityName":"n"}}"#),
    ] {
        assert!(!opens(&provider(&other), &token).await, "{other}");
    }
    let rotated = provider(&format!(
        r#"{{"securityKey":"{NEW}","securityName":"n","previousKeys":[{{"securityKey":"{OLD}","blockKey":"b"}}]}}"#
    ));
    assert!(opens(&rotated, &token).await);
}

#[tokio::test]
async fn a_missing_short_or_published_key_is_refused_with_advice() {
    for empty in ["", " ", r#"{"securityKey":""}"#] {
        assert!(refusal(empty).await.contains("needs a key"), "{empty}");
    }
    assert!(refusal(r#"{"cookieName":"gosessionid"}"#).await.contains("missing field `securityKey`"));
    // The key in Beego's documentation.
    let printed = r#"{"cookieName":"gosessionid","securityKey":"beegocookiehashkey"}"#;
    let message = refusal(printed).await;
    assert!(message.contains("printed in public documents") && message.contains("openssl"), "{message}");
    let message = refusal(r#"{"securityKey":"thirty-one bytes are not enough"}"#).await;
    assert!(message.contains("31 bytes") && message.contains("allowWeakKey"), "{message}");
    let previous = format!(r#"{{"securityKey":"{NEW}","previousKeys":["beegosessionkey"]}}"#);
    assert!(refusal(&previous).await.contains("previous or next key 1"));

    let allowed = provider(
        r#"{"cookieName":"gosessionid","securityKey":"beegocookiehashkey","blockKey":"","securityName":"beegocookie","secure":true,"maxage":0,"allowWeakKey":true}"#,
    );
    let token = sealed_by(&allowed).await;
    assert!(opens(&allowed, &token).await);
}

#[tokio::test]
async fn a_config_that_cannot_be_read_is_refused_without_showing_a_value() {
    for (config, expected) in [
        ("hunter2", "line 1"),
        (r#"{"securityKey","hunter2"}"#, "expected `:` at line 1 column 15"),
        (r#"{"securitykey":"hunter2"}"#, "unknown field `securitykey`"),
        (r#"{"securityKey":7777777}"#, "wrong type at line 1 column 22"),
        (r#"{"securityKey":"hunter2","secure":"hunter2"}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","previousKeys":[7777777]}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","nextKeys":[7777777]}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","maxage":-1}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","maxage":1e3}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","maxage":99999999999999999999}"#, "wrong type"),
        (r#"{"securityKey":"hunter2","securityKey":"hunter2"}"#, "duplicate field `securityKey`"),
    ] {
        let message = refusal(config).await;
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("7777777"), "{message}");
    }
}

#[test]
fn no_key_is_printed() {
    let builder =
        CookieBuilder::from_json(&format!(r#"{{"securityKey":"{OLD}","blockKey":"{NEW}"}}"#)).unwrap();
    for printed in [format!("{builder:?}"), format!("{:?}", builder.build().unwrap())] {
        assert!(!printed.contains("long enough") && !printed.contains("116, 104"), "{printed}");
    }
}

#[tokio::test]
async fn the_cookie_name_must_match_the_managers() {
    let config = format!(r#"{{"cookieName":"gosessionid","securityKey":"{OLD}"}}"#);
    let provider = CookieBuilder::from_json(&config).and_then(CookieBuilder::build).unwrap();
    let error = provider.bind("14:__Host-session0:").unwrap_err();
    assert!(error.message().contains("`gosessionid`") && error.message().contains("`__Host-session`"));
    provider.bind("11:gosessionid0:").unwrap();
}

#[tokio::test]
async fn max_age_ends_sessions_before_the_idle_timeout() {
    let provider = provider(&format!(r#"{{"securityKey":"{OLD}","maxage":60}}"#));
    let token = sealed_by(&provider).await;
    let read = provider.read(&StorageId::plain(token.expose()).unwrap(), HOUR).await.unwrap().unwrap();
    let left = read.header.deadline.since(SystemClock.now());
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(50), "{left:?}");
}

#[tokio::test]
async fn no_lifetime_is_a_panic_or_longer_than_the_absolute_one() {
    for maxage in [1, i32::MAX.unsigned_abs().into(), 253_402_300_799, u64::MAX] {
        let provider = provider(&format!(r#"{{"securityKey":"{OLD}","maxage":{maxage}}}"#));
        let now = SystemClock.now();
        for ttl in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(253_402_300_799), Duration::MAX]
        {
            let record = Record::new(Header::new(now, now.after(HOUR), now.after(HOUR)), Body::default());
            let id = StorageId::plain("new").unwrap();
            let sealed = provider.write(&id, &record, Condition::Absent, ttl).await.unwrap();
            let WriteOutcome::Stored(stored) = sealed else { panic!("refused") };
            let id = StorageId::plain(stored.token.unwrap().expose()).unwrap();
            if let Some(read) = provider.read(&id, ttl).await.unwrap() {
                assert!(read.header.deadline <= read.header.absolute);
                let next = Record::new(read.header.next(), Body::default());
                provider.write(&id, &next, Condition::Over(read.stamp()), ttl).await.unwrap();
            }
        }
    }
}
