//! The feature `test`, for the tests of applications.
#![cfg(feature = "test")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use session_kit::clock::ManualClock;
use session_kit::test::{Failing, TestSession, builder, session};
use session_kit::transport::{CookieSettings, Transport};
use session_kit::{ErrorKind, Lifetime, Manager, memory::MemoryProvider};

fn transport(transport: Transport) -> Manager {
    builder(&ManualClock::default()).unwrap().transport(transport).build().unwrap()
}

#[tokio::test]
async fn a_cookie_and_a_header_are_those_that_the_manager_reads() {
    let manager = transport(Transport::cookie(CookieSettings::named("sid")));
    let cookie = TestSession::new(&manager).set("user", "Ada").cookie().await.unwrap();
    assert!(cookie.starts_with("sid="), "{cookie}");
    let incoming = session_kit::transport::Incoming { cookies: &[cookie.as_bytes()], ..Default::default() };
    let loaded = manager.start(incoming).await.unwrap();
    assert_eq!(loaded.get::<String>("user").unwrap().as_deref(), Some("Ada"));
    let error = TestSession::new(&manager).set("user", "Ada").header().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);

    let manager = transport(Transport::header("x-session"));
    let (name, value) = TestSession::new(&manager).sign_in("ada").header().await.unwrap();
    assert_eq!(name, "x-session");
    let incoming = session_kit::transport::Incoming { header: Some(value.as_bytes()), ..Default::default() };
    assert!(manager.start(incoming).await.unwrap().owner().is_some());
    let error = TestSession::new(&manager).sign_in("ada").cookie().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn what_goes_wrong_is_said_at_the_end() {
    let manager = builder(&ManualClock::default()).unwrap().max_keys(1).build().unwrap();
    let error = TestSession::new(&manager).cookie().await.unwrap_err();
    assert!(error.message().contains("call `set` or `sign_in`"), "{error}");
    let error = TestSession::new(&manager).set("a", &1).set("b", &2).set("c", &3).token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = TestSession::new(&manager).class("remember").token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn time_passes_for_the_engine_and_the_manager() {
    let clock = ManualClock::default();
    let day = Duration::from_hours(24);
    let manager =
        builder(&clock).unwrap().class("remember", Lifetime::idle(day).absolute(day)).build().unwrap();
    let short = TestSession::new(&manager).set("n", &1).token().await.unwrap();
    let long = TestSession::new(&manager).set("n", &1).class("remember").token().await.unwrap();
    clock.advance(Duration::from_hours(1));
    assert!(manager.load(&short).await.unwrap().is_none());
    assert!(manager.load(&long).await.unwrap().is_some());
    clock.advance(day);
    assert!(manager.load(&long).await.unwrap().is_none());
}

#[tokio::test]
async fn an_engine_fails_as_it_is_told_and_heals() {
    let engine = Failing::new(MemoryProvider::new());
    let manager = Manager::builder(engine.clone()).build().unwrap();
    let token = TestSession::new(&manager).set("n", &1).token().await.unwrap();
    engine.fail_writes(ErrorKind::Unavailable);
    let loaded = manager.load(&token).await.unwrap().unwrap();
    loaded.set("n", &2).unwrap();
    assert_eq!(loaded.release().await.unwrap_err().kind(), ErrorKind::Unavailable);
    engine.fail(ErrorKind::Unavailable);
    assert_eq!(manager.load(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(manager.active().await.unwrap_err().kind(), ErrorKind::Unavailable);
    engine.heal();
    assert_eq!(manager.load(&token).await.unwrap().unwrap().get::<u64>("n").unwrap(), Some(1));
}

#[tokio::test]
async fn a_session_without_http_is_a_whole_one() {
    let session = session().unwrap();
    session.set("n", &1).unwrap();
    session.save().await.unwrap();
    assert_eq!(session.get::<u64>("n").unwrap(), Some(1));
    assert!(session.token().is_some());
}
