//! Combinations of requests, managers, deployments and layers, from the user's point of view.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;
#[path = "toy/mod.rs"]
mod toy;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use session_core::clock::ManualClock;
use session_core::transport::{Connection, CookieSettings, Incoming, Transport};
use session_core::{Manager, ManagerConfig, Provider};
use session_memory::MemoryProvider;
use session_tower::{Session, SessionError, SessionLayer};
use support::{get, send};
use toy::Toy;

const HOUR: Duration = Duration::from_secs(3_600);

type Answer = Result<String, SessionError>;

async fn visit(session: Session) -> Answer {
    Ok(session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

#[tokio::test]
async fn a_reply_does_not_print_the_token() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let request = manager.request(Incoming::default());
    request.session().await.unwrap().set("a", &1).unwrap();
    let reply = request.finish(Connection::default()).await.unwrap();
    let token = request.session().await.unwrap().token().unwrap();
    assert!(!format!("{reply:?}").contains(token.expose()), "{reply:?}");
}

/// A user who signs in late in the lifetime of a visitor's session is not logged out when that
/// lifetime ends.
#[tokio::test]
async fn a_sign_in_starts_a_new_absolute_lifetime() {
    let clock = ManualClock::default();
    let provider = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let manager = Manager::builder(provider).clock(clock.clone()).build().unwrap(); // 1 h idle, 12 h absolute
    let session = manager.create();
    session.set("cart", &1).unwrap();
    session.release().await.unwrap();
    let mut token = session.token().unwrap();
    for _ in 0..13 {
        clock.advance(Duration::from_secs(55 * 60));
        assert!(manager.load(&token).await.unwrap().is_some());
    } // 11 h 55 min
    let session = manager.load(&token).await.unwrap().unwrap();
    session.regenerate().unwrap();
    session.set_owner(Some("ada")).unwrap();
    session.set("user", "ada").unwrap();
    session.release().await.unwrap();
    token = session.token().unwrap();
    clock.advance(Duration::from_secs(6 * 60));
    assert!(manager.load(&token).await.unwrap().is_some(), "six minutes after the sign-in");
}

/// After a logout and a new session in one request, the new session takes values.
#[tokio::test]
async fn a_session_can_be_ended_and_replaced_in_one_request() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let request = manager.request(Incoming::default());
    let session = request.session().await.unwrap();
    session.destroy().await.unwrap();
    session.set("flash", "you are logged out").map_err(|e| e.to_string()).unwrap();
}

#[tokio::test]
async fn the_longest_timeout_does_not_panic() {
    let manager = Manager::builder(Toy::new(true)).operation_timeout(Duration::MAX).build().unwrap();
    let session = manager.create();
    session.set("a", &1).unwrap();
    session.release().await.unwrap();
}

/// `cookieLifeTime` says "for how many seconds browsers keep the cookie".
#[tokio::test]
async fn the_lifetime_of_the_cookie_is_the_configured_one() {
    let config =
        ManagerConfig::from_json(r#"{"cookieName":"id","gclifetime":3600,"cookieLifeTime":3600}"#).unwrap();
    let manager = Manager::builder(MemoryProvider::new()).configure(&config).unwrap().build().unwrap();
    let request = manager.request(Incoming::default());
    request.session().await.unwrap().set("a", &1).unwrap();
    let reply = request.finish(Connection::default()).await.unwrap();
    assert!(reply.headers[0].1.contains("Max-Age=3600"), "{}", reply.headers[0].1.split_once(';').unwrap().1);
}

/// Docs of `set`: "the last one to be released wins".
#[tokio::test]
async fn the_last_set_to_be_released_wins() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let first = manager.create();
    first.set("theme", "dark").unwrap();
    first.release().await.unwrap();
    let token = first.token().unwrap();
    let slow = manager.load(&token).await.unwrap().unwrap();
    let quick = manager.load(&token).await.unwrap().unwrap();
    quick.set("theme", "light").unwrap();
    quick.release().await.unwrap(); // acknowledged before the other one sets
    slow.set("theme", "dark").unwrap();
    slow.release().await.unwrap(); // acknowledged, last
    let now = manager.load(&token).await.unwrap().unwrap().get::<String>("theme").unwrap();
    assert_eq!(now.as_deref(), Some("dark"));
}

/// A deployment adds an `anonymous_idle_timeout`: two requests that only read both succeed.
#[tokio::test]
async fn a_read_only_request_does_not_fail_because_of_a_change_of_class() {
    let toy = Toy::new(false);
    let build = |anonymous: bool| {
        let builder = Manager::builder(toy.clone()).clock(toy.0.clock.clone());
        if anonymous { builder.anonymous_idle_timeout(HOUR / 2) } else { builder }.build().unwrap()
    };
    let session = build(false).create();
    session.set("cart", &1).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    let new = build(true);
    toy.0.clock.advance(Duration::from_secs(120));
    let (a, b) = (new.load(&token).await.unwrap().unwrap(), new.load(&token).await.unwrap().unwrap());
    let (a, b) = (a.release().await, b.release().await);
    a.and(b).unwrap();
}

/// Some drivers resend a command after a lost answer.
#[tokio::test]
async fn a_create_that_the_driver_sent_twice_is_stored_once_and_reported_as_stored() {
    let toy = Toy::new(true);
    let manager = Manager::builder(toy.clone()).build().unwrap();
    toy.0.resends.store(true, std::sync::atomic::Ordering::SeqCst);
    let session = manager.create();
    session.set("a", &1).unwrap();
    let outcome = session.release().await;
    outcome.unwrap();
}

#[tokio::test]
async fn the_program_of_the_readme_does_not_keep_expired_sessions() {
    let clock = ManualClock::default();
    let provider: Arc<dyn Provider> =
        Arc::new(MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap());
    let manager = Manager::builder_shared(Arc::clone(&provider)).clock(clock.clone()).build().unwrap();
    let app = Router::new().route("/visit", on_get(visit)).layer(SessionLayer::new(manager));
    for _ in 0..50 {
        for _ in 0..100 {
            send(&app, get("/visit", "")).await;
        }
        clock.advance(2 * HOUR);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let held = provider.count().await.unwrap().unwrap();
    assert!(held <= 200, "{held} sessions held, all of them expired");
}

#[tokio::test]
async fn a_class_that_outlives_the_absolute_timeout_is_refused() {
    let built = Manager::builder(MemoryProvider::new()).idle_class("remember", 30 * 24 * HOUR).build();
    assert!(built.is_err(), "30 days that end after 12 hours");
}

#[tokio::test]
async fn an_idle_timeout_above_the_absolute_one_is_refused() {
    let built = Manager::builder(MemoryProvider::new()).idle_timeout(24 * HOUR).build();
    assert!(built.is_err(), "24 hours that end after 12");
}

#[tokio::test]
async fn remember_me_outlives_the_browser_and_an_ordinary_session_does_not() {
    for persistent in [false, true] {
        let cookie = CookieSettings::host_prefixed("session").persistent(persistent);
        let manager = Manager::builder(MemoryProvider::new())
            .transport(Transport::cookie(cookie))
            .absolute_timeout(30 * 24 * HOUR)
            .idle_class("remember", 30 * 24 * HOUR)
            .build()
            .unwrap();
        let mut lines = Vec::new();
        for remember in [false, true] {
            let request = manager.request(Incoming::default());
            let session = request.session().await.unwrap();
            session.set("a", &1).unwrap();
            if remember {
                session.set_class("remember").unwrap();
            }
            let reply = request.finish(Connection::default()).await.unwrap();
            lines.push(reply.headers[0].1.contains("Max-Age"));
        }
        if lines == [false, true] {
            return;
        }
    }
    panic!("no setting keeps the one and forgets the other");
}

/// `operation_timeout`: "how long one load … may take before it is an error. Default 5 seconds."
#[tokio::test(start_paused = true)]
async fn the_answer_of_an_engine_within_the_timeout_is_used() {
    let toy = Toy::new(true);
    let manager = Manager::builder(toy.clone()).build().unwrap(); // 5 s
    let session = manager.create();
    session.set("a", &1).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    toy.0.delay_ms.store(3_000, std::sync::atomic::Ordering::SeqCst);
    let reads = toy.0.reads.load(std::sync::atomic::Ordering::SeqCst);
    assert!(manager.load(&token).await.unwrap().is_some());
    assert_eq!(
        toy.0.reads.load(std::sync::atomic::Ordering::SeqCst),
        reads + 1,
        "a slow engine is asked once"
    );
}
