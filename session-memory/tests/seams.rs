//! Combinations of requests, renewals, classes and configurations, from the user's point of view.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod requests;

use std::sync::Arc;
use std::time::Duration;

use requests::{
    DAY, Lazy, MINUTE, SECOND, begin, builder, cookie, finish, memory, presenting, renew, renewed,
};
use session_conformance::layers::Layer;
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::transport::{Connection, Incoming};
use session_core::{ErrorKind, Lifetime, LoadState, Manager, ManagerBuilder};

#[tokio::test]
async fn two_cookies_of_one_renewed_session_are_not_ambiguous() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).build().unwrap();
    let [old, new] = renewed(&manager, &clock, MINUTE).await;
    // The cookie's domain was changed: browsers keep the cookie that they had.
    for both in [[&old, &new], [&new, &old]] {
        let request = presenting(&manager, &both);
        let session = request.session().await.unwrap();
        assert_eq!(session.load_state(), LoadState::Live);
        assert_eq!(session.token().as_ref(), Some(&new), "the token that lasts");
    }
}

#[tokio::test]
async fn a_request_that_is_slower_than_the_grace_is_no_theft() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).end_on_reuse(true).build().unwrap();
    let old = begin(&manager).await;
    clock.advance(SECOND * 59);
    let slow = presenting(&manager, &[&old]);
    let upload = slow.session().await.unwrap();
    clock.advance(SECOND);
    let new = renew(&manager, &old).await;
    clock.advance(SECOND * 15);
    upload.set("uploaded", &true).unwrap();
    let stored = finish(&slow).await;
    assert!(manager.load(&new).await.unwrap().is_some(), "the user is not logged out: {stored:?}");
}

#[tokio::test]
async fn a_connection_that_lasts_longer_than_a_renewal_is_no_theft() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).end_on_reuse(true).build().unwrap();
    let old = begin(&manager).await;
    let request = presenting(&manager, &[&old]);
    let socket = request.session().await.unwrap();
    finish(&request).await.unwrap();
    clock.advance(MINUTE);
    let new = renew(&manager, &old).await;
    clock.advance(SECOND * 20);
    let _ = socket.reload().await;
    assert!(manager.load(&new).await.unwrap().is_some(), "nobody stole anything");
}

#[tokio::test]
async fn a_persistent_cookie_lasts_as_long_as_a_renewed_lifetime() {
    let clock = ManualClock::default();
    let month = Lifetime::idle(DAY * 30).absolute(DAY * 30).persistent(true);
    let manager = builder(&clock).class("remember", month).build().unwrap();
    let session = manager.create();
    session.set_class("remember").unwrap();
    session.set("n", &1).unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    clock.advance(DAY * 29);
    let request = presenting(&manager, &[&token]);
    request.session().await.unwrap().renew_lifetime().unwrap();
    let reply = finish(&request).await.unwrap();
    assert_eq!(reply.headers.len(), 1, "browsers forget the cookie tomorrow, the session lasts for 30 days");
}

#[tokio::test]
async fn whether_a_class_outlives_the_browser_does_not_depend_on_the_order_of_the_calls() {
    let clock = ManualClock::default();
    let mut lines = Vec::new();
    for first in [true, false] {
        let idle = |builder: ManagerBuilder| builder.idle_timeout(MINUTE * 180);
        let class = |builder: ManagerBuilder| builder.idle_class("short", MINUTE * 120);
        let builder = builder(&clock);
        let builder = if first { class(idle(builder)) } else { idle(class(builder)) };
        let manager = builder.build().unwrap();
        let request = presenting(&manager, &[]);
        let session = request.session().await.unwrap();
        session.set_class("short").unwrap();
        session.set("n", &1).unwrap();
        let reply = finish(&request).await.unwrap();
        lines.push(reply.headers[0].1.contains("Max-Age"));
    }
    assert_eq!(lines, [false, false]);
}

#[tokio::test]
async fn the_cookies_of_an_ambiguous_client_go_when_its_sessions_have_ended() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let both = [begin(&manager).await, begin(&manager).await];
    let request = presenting(&manager, &[&both[0], &both[1]]);
    let session = request.session().await.unwrap();
    assert_eq!(session.load_state(), LoadState::Ambiguous);
    session.set("n", &1).unwrap();
    session.save().await.unwrap();
    session.destroy().await.unwrap();
    for token in &both {
        assert!(!manager.exists(token).await.unwrap());
    }
    assert_eq!(cookie(&finish(&request).await.unwrap()).as_deref(), Some(""));
}

#[tokio::test]
async fn a_getter_that_removes_an_unreadable_value_keeps_one_that_others_repaired() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let session = manager.create();
    session.set("cart", "of yesterday's type").unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    let [one, other] =
        [manager.load(&token).await.unwrap().unwrap(), manager.load(&token).await.unwrap().unwrap()];
    assert_eq!(one.get_or_remove::<Vec<u32>>("cart").unwrap(), None);
    other
        .update_or_replace("cart", |cart: Option<Vec<u32>>| [cart.unwrap_or_default(), vec![7]].concat())
        .unwrap();
    other.release().await.unwrap();
    one.release().await.unwrap();
    let session = manager.load(&token).await.unwrap().unwrap();
    assert_eq!(session.get::<Vec<u32>>("cart").unwrap(), Some(vec![7]));
}

#[tokio::test]
async fn a_collection_that_was_stopped_can_be_started_again() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let task = manager.spawn_gc();
    tokio::task::yield_now().await;
    task.stop();
    let task = manager.spawn_gc();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_stopped());
}

#[tokio::test]
async fn a_new_session_can_begin_after_the_logout_of_one_that_could_not_be_saved() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let token = begin(&manager).await;
    let request = presenting(&manager, &[&token]);
    let session = request.session().await.unwrap();
    manager.load(&token).await.unwrap().unwrap().destroy().await.unwrap();
    session.set("n", &1).unwrap();
    assert_eq!(session.save().await.unwrap_err().kind(), ErrorKind::Gone);
    session.destroy().await.unwrap();
    session.set("flash", "your session has ended").expect("what is set afterwards begins a new session");
    assert!(cookie(&finish(&request).await.unwrap()).is_some());
}

#[tokio::test]
async fn a_handle_whose_request_was_abandoned_during_a_save_takes_no_changes() {
    let clock = ManualClock::default();
    let manager = Manager::builder_shared(Layer::over(memory(&clock), &Arc::new(Lazy))).build().unwrap();
    let token = begin(&manager).await;
    for destroys in [false, true] {
        let request = presenting(&manager, &[&token]);
        let session = request.session().await.unwrap();
        session.set("n", &1).unwrap();
        let given_up = Duration::from_millis(1);
        if destroys {
            let _ = tokio::time::timeout(given_up, session.destroy()).await;
        } else {
            let _ = tokio::time::timeout(given_up, session.save()).await;
        }
        request.abandon(Connection::default()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let set = session.set("late", &2);
        assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::Released), "nobody stores it");
    }
}

/// If the transport does not deliver new ids by itself, an id must not be renewed automatically.
#[tokio::test]
async fn an_id_is_not_renewed_if_the_client_would_not_learn_it() {
    use session_core::transport::{CookieSettings, Transport};
    let by_url = Transport::default().with_query("sid");
    let unsent = Transport::cookie(CookieSettings::host_prefixed("session").send(false));
    for (transport, url) in [(by_url, true), (unsent, false)] {
        let clock = ManualClock::default();
        let built = builder(&clock).transport(transport).renew_id_every(MINUTE).build();
        let Ok(manager) = built else { continue };
        let token = begin(&manager).await;
        clock.advance(MINUTE);
        let query = format!("sid={}", token.expose());
        let request = if url {
            manager.request(Incoming { query: Some(&query), ..Incoming::default() })
        } else {
            presenting(&manager, &[&token])
        };
        let session = request.session().await.unwrap();
        // The links of the page are written while the handler runs.
        let link = session.token().unwrap();
        assert_eq!(finish(&request).await.unwrap().headers.len(), 0);
        clock.advance(SECOND * 15);
        assert!(manager.load(&link).await.unwrap().is_some(), "by URL: {url}");
    }
}

#[tokio::test]
async fn a_client_with_the_old_and_the_new_cookie_is_no_thief() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).end_on_reuse(true).build().unwrap();
    let [old, new] = renewed(&manager, &clock, MINUTE).await;
    clock.advance(SECOND * 15);
    let session = presenting(&manager, &[&old, &new]).session().await.unwrap();
    assert_eq!(session.load_state(), LoadState::Live);
    assert_eq!(session.token(), Some(new.clone()));
    // The old cookie alone counts as theft.
    let request = presenting(&manager, &[&old]);
    assert_eq!(request.session().await.unwrap().load_state(), LoadState::Moved);
    assert!(manager.load(&new).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_exists_under_its_old_id_as_long_as_that_is_good() {
    let clock = ManualClock::default();
    let manager = builder(&clock).renew_id_every(MINUTE).build().unwrap();
    let [old, new] = renewed(&manager, &clock, MINUTE).await;
    assert!(manager.exists(&old).await.unwrap() && manager.exists(&new).await.unwrap());
    clock.advance(SECOND * 10);
    assert!(!manager.exists(&old).await.unwrap() && manager.exists(&new).await.unwrap());
}

#[tokio::test]
async fn visitors_do_not_outlive_users() {
    let clock = ManualClock::default();
    let error = builder(&clock).idle_timeout(MINUTE).anonymous_idle_timeout(MINUTE * 2).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("anonymous_idle_timeout"), "{error}");
}

#[tokio::test]
async fn of_two_cookies_that_lead_nowhere_the_replaced_one_says_more() {
    let clock = ManualClock::default();
    let manager = builder(&clock).build().unwrap();
    let old = begin(&manager).await;
    manager.regenerate(&old).await.unwrap().unwrap();
    let [unknown, another] = ["A", "B"].map(|letter| Token::new(&letter.repeat(43)).unwrap());
    for (presented, state) in [
        ([&old, &unknown], LoadState::Moved),
        ([&unknown, &old], LoadState::Moved),
        ([&unknown, &another], LoadState::Expired),
    ] {
        let session = presenting(&manager, &presented).session().await.unwrap();
        assert_eq!(session.load_state(), state);
    }
}

/// Browsers forget a cookie after 400 days. Where the session ends before, or with the browser, its
/// id stays.
#[tokio::test]
async fn an_id_is_renewed_for_the_cookie_only_where_the_cookie_would_be_forgotten() {
    for (days, persistent, renews) in
        [(500, true, true), (400, true, false), (300, true, false), (500, false, false)]
    {
        let clock = ManualClock::default();
        let class = Lifetime::idle(DAY * days).absolute(DAY * days).persistent(persistent);
        let manager = builder(&clock).class("long", class).build().unwrap();
        let session = manager.create();
        session.set_class("long").unwrap();
        session.set("n", &1).unwrap();
        session.release().await.unwrap();
        let token = session.token().unwrap();
        for (after, renews) in [(150, false), (100, renews)] {
            clock.advance(DAY * after);
            let request = presenting(&manager, &[&token]);
            assert!(request.session().await.unwrap().load_state() == LoadState::Live);
            let told = cookie(&finish(&request).await.unwrap());
            let is_new = told.is_some_and(|told| told != token.expose());
            assert_eq!(is_new, renews, "{days} days, persistent: {persistent}");
        }
    }
}
