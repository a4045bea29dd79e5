//! Sessions over minutes or years, with a clock that the test controls.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use session_core::clock::{Clock, ManualClock, Timestamp};
use session_core::id::Token;
use session_core::transport::Incoming;
use session_core::{ErrorKind, Lifetime, Manager, ManagerBuilder, Provider};
use session_memory::MemoryProvider;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn shared(clock: &ManualClock) -> Arc<dyn Provider> {
    Arc::new(MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap())
}

fn builder(clock: &ManualClock) -> ManagerBuilder {
    Manager::builder_shared(shared(clock)).clock(clock.clone())
}

async fn begin(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("key", &1).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

/// A handle older than the lifetime of a tombstone cannot follow its session, and reports that.
#[tokio::test]
async fn a_logout_on_an_old_handle_ends_the_session_or_says_that_it_could_not() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    for (wait, ends) in [(MINUTE / 2, true), (MINUTE * 2, false)] {
        let old = begin(&manager).await;
        let handle = manager.load(&old).await.unwrap().unwrap();
        let new = manager.regenerate(&old).await.unwrap().unwrap();
        clock.advance(wait);
        let logout = handle.destroy().await;
        assert_eq!(logout.is_ok(), ends, "after {wait:?}");
        assert_eq!(manager.load(&new).await.unwrap().is_none(), ends);
        if let Err(error) = logout {
            assert_eq!(error.kind(), ErrorKind::Gone);
        }
    }
}

/// The longest times mean "never", in every setting, and nothing overflows.
#[tokio::test]
async fn the_longest_times_do_not_overflow() {
    for start in [0, 2_147_483_648_000, 253_402_300_800_000] {
        let clock = ManualClock::new(Timestamp::from_millis(start));
        let manager = builder(&clock)
            .idle_timeout(Duration::MAX)
            .absolute_timeout(Duration::MAX)
            .operation_timeout(Duration::MAX)
            .maintenance_timeout(Duration::MAX)
            .gc_interval(Duration::MAX)
            .renew_id_every(Duration::MAX)
            .class("remember", Lifetime::idle(Duration::MAX).absolute(Duration::MAX).persistent(true))
            .build()
            .unwrap();
        let task = manager.spawn_gc();
        let token = begin(&manager).await;
        clock.advance(DAY * 365 * 100);
        let session = manager.load(&token).await.unwrap().expect("it never ends");
        session.set_class("remember").unwrap();
        session.release().await.unwrap();
        assert_eq!(manager.active().await.unwrap(), Some(1));
        assert_eq!(manager.collect().await.unwrap(), 0);
        task.stop();
    }
}

/// A cookie whose lifetime exceeds the browsers' limit is reissued long before they drop it.
#[tokio::test]
async fn a_cookie_of_years_is_renewed_before_browsers_forget_it() {
    let clock = ManualClock::default();
    let years = Lifetime::idle(DAY * 3_000).absolute(DAY * 3_000).persistent(true);
    let manager = builder(&clock).class("remember", years).build().unwrap();
    let session = manager.create();
    session.set_class("remember").unwrap();
    session.set("key", &1).unwrap();
    session.release().await.unwrap();
    let mut token = session.token().unwrap();
    let visit = async |token: &Token| {
        let cookie = format!("__Host-session={}", token.expose());
        let session =
            manager.start(Incoming { cookies: &[cookie.as_bytes()], ..Incoming::default() }).await.unwrap();
        session.release().await.unwrap();
        session.token().unwrap()
    };
    for _ in 0..5 {
        clock.advance(DAY * 150);
        assert_eq!(visit(&token).await, token, "not more often than needed");
        clock.advance(DAY * 60);
        let renewed = visit(&token).await;
        assert_ne!(renewed, token);
        token = renewed;
    }
}

/// A visitor's eleven hours do not shorten the session of a user who has just signed in.
#[tokio::test]
async fn the_lifetime_of_a_visitor_does_not_count_for_a_user() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap(); // 1 h idle, 12 h absolute
    let mut token = begin(&manager).await;
    for _ in 0..13 {
        clock.advance(MINUTE * 55);
        assert!(manager.load(&token).await.unwrap().is_some());
    }
    let session = manager.load(&token).await.unwrap().unwrap();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    token = session.token().unwrap();
    for _ in 0..13 {
        clock.advance(MINUTE * 55);
        assert!(manager.load(&token).await.unwrap().is_some(), "twelve hours from the sign-in");
    }
    clock.advance(MINUTE * 6);
    assert!(manager.load(&token).await.unwrap().is_none());
    assert!(clock.now() > Timestamp::from_millis(0));
}

/// Expired sessions are removed without a call; the task ends with its manager.
#[tokio::test]
async fn expired_sessions_are_collected_automatically() {
    let clock = ManualClock::default();
    let provider = shared(&clock);
    let manager = Manager::builder_shared(Arc::clone(&provider)).clock(clock.clone()).build().unwrap();
    for _ in 0..3_000 {
        begin(&manager).await;
    }
    clock.advance(DAY);
    begin(&manager).await;
    for _ in 0..500 {
        if provider.count().await.unwrap() == Some(1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} sessions are kept", provider.count().await.unwrap());
}

/// Only a sign-in begins a new absolute time: an id that is drawn anew every few hours keeps nobody
/// logged in for ever.
#[tokio::test]
async fn a_regeneration_of_a_user_keeps_the_absolute_time() {
    let clock = ManualClock::default();
    let manager = builder(&clock).idle_timeout(MINUTE * 600).build().unwrap(); // 12 h absolute
    let session = manager.create();
    session.sign_in("ada").unwrap();
    session.release().await.unwrap();
    let mut token = session.token().unwrap();
    for _ in 0..2 {
        clock.advance(MINUTE * 300);
        token = manager.regenerate(&token).await.unwrap().unwrap();
    }
    clock.advance(MINUTE * 119);
    assert!(manager.load(&token).await.unwrap().is_some());
    clock.advance(MINUTE);
    assert!(manager.load(&token).await.unwrap().is_none(), "twelve hours after the sign-in");
}
