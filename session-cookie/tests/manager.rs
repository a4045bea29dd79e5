//! The engine under a manager, from a request's point of view.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_cookie::CookieProvider;
use session_core::adapter::{Reply, RequestSession};
use session_core::clock::ManualClock;
use session_core::transport::{Connection, Incoming};
use session_core::{ErrorKind, Manager, ManagerConfig, Secret};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn manager(clock: &ManualClock) -> Manager {
    let provider =
        CookieProvider::builder().key(Secret::new(KEY)).clock(Arc::new(clock.clone())).build().unwrap();
    Manager::builder(provider).clock(clock.clone()).build().unwrap()
}

fn request(manager: &Manager, cookie: &str) -> RequestSession {
    manager.request(Incoming { cookies: &[cookie.as_bytes()], ..Incoming::default() })
}

async fn finish(request: RequestSession) -> Reply {
    request.finish(Connection::default()).await.unwrap()
}

/// The cookie that a browser sends after this response.
fn cookie(reply: &Reply) -> String {
    let [(name, value)] = &reply.headers[..] else { panic!("one Set-Cookie, not {:?}", reply.headers.len()) };
    assert_eq!(name, "set-cookie");
    value.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_lives_in_the_cookie_and_is_read_by_every_process_with_the_key() {
    let clock = ManualClock::default();
    let first = request(&manager(&clock), "");
    first.session().await.unwrap().set("user", "ada").unwrap();
    let given = cookie(&finish(first).await);
    assert!(given.starts_with("__Host-session=A"));

    let second = request(&manager(&clock), &given);
    let session = second.session().await.unwrap();
    assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
    assert!(finish(second).await.headers.is_empty(), "an unchanged session is not sent again");

    let third = request(&manager(&clock), &given);
    third.session().await.unwrap().update("visits", |old: Option<u32>| old.unwrap_or(0) + 1).unwrap();
    let changed = cookie(&finish(third).await);
    assert_ne!(changed, given);

    let fourth = request(&manager(&clock), &changed);
    assert_eq!(fourth.session().await.unwrap().get::<u32>("visits").unwrap(), Some(1));
}

#[tokio::test]
async fn reading_extends_the_deadline_with_an_occasional_new_cookie() {
    let clock = ManualClock::default();
    let manager = manager(&clock);
    let first = request(&manager, "");
    first.session().await.unwrap().set("user", "ada").unwrap();
    let mut given = cookie(&finish(first).await);
    let mut issued = 0;
    for _ in 0..20 {
        clock.advance(Duration::from_secs(20 * 60));
        let next = request(&manager, &given);
        assert!(!next.session().await.unwrap().is_new());
        let reply = finish(next).await;
        issued += reply.headers.len();
        if !reply.headers.is_empty() {
            given = cookie(&reply);
        }
    }
    assert_eq!(issued, 20, "once per touch_after, which is a minute");
    clock.advance(Duration::from_secs(3_600));
    assert!(request(&manager, &given).session().await.unwrap().is_new(), "idle for an hour");
}

#[tokio::test]
async fn a_logout_removes_the_cookie() {
    let clock = ManualClock::default();
    let manager = manager(&clock);
    let first = request(&manager, "");
    first.session().await.unwrap().set("user", "ada").unwrap();
    let given = cookie(&finish(first).await);
    for load in [true, false] {
        let logout = request(&manager, &given);
        if load {
            logout.session().await.unwrap();
        }
        logout.destroy().await.unwrap();
        let reply = finish(logout).await;
        assert_eq!(cookie(&reply), "__Host-session=");
        assert!(reply.headers[0].1.contains("; Max-Age=0; ") && reply.headers[0].1.ends_with("; Secure"));
    }
}

#[tokio::test]
async fn a_session_that_grew_too_large_is_refused_and_the_client_keeps_its_cookie() {
    let clock = ManualClock::default();
    let manager = manager(&clock);
    let first = request(&manager, "");
    first.session().await.unwrap().set("user", "ada").unwrap();
    let given = cookie(&finish(first).await);
    let second = request(&manager, &given);
    second.session().await.unwrap().set("big", &"x".repeat(4_000)).unwrap();
    let error = second.finish(Connection::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let third = request(&manager, &given);
    assert_eq!(third.session().await.unwrap().get::<String>("user").unwrap().as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_hostile_cookie_is_a_new_visitor_and_touches_nothing() {
    let manager = manager(&ManualClock::default());
    for cookie in ["__Host-session=AYlaADTY", "__Host-session=../../x", "__Host-session=", "x"] {
        let visitor = request(&manager, cookie);
        assert!(visitor.session().await.unwrap().is_new());
        assert!(finish(visitor).await.headers.is_empty());
    }
    assert_eq!(manager.active().await.unwrap(), None);
}

/// In Beego's documentation, `enableSetCookie` is off for this engine, because there the engine
/// itself wrote the cookie.
#[tokio::test]
async fn the_documented_configuration_works_with_a_key_that_is_long_enough() {
    let config = ManagerConfig::from_json(
        r#"{"cookieName":"gosessionid","enableSetCookie":false,"gclifetime":3600,"ProviderConfig":"{\"cookieName\":\"gosessionid\",\"securityKey\":\"0123456789abcdef0123456789abcdef\"}"}"#,
    )
    .unwrap();
    let manager = Manager::open("cookie", &config).await.unwrap();
    let first = request(&manager, "");
    first.session().await.unwrap().set("user", "ada").unwrap();
    let given = cookie(&finish(first).await);
    assert!(given.starts_with("gosessionid="));
    let second = request(&manager, &given);
    assert!(!second.session().await.unwrap().is_new());

    let mut renamed = config.clone();
    renamed.cookie_name = "other".into();
    let error = Manager::open("cookie", &renamed).await.unwrap_err();
    assert!(error.message().contains("`gosessionid`"), "{error}");
}
