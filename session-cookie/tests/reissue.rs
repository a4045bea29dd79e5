//! Reissuing a cookie for a request that only read: when due, and never over a newer record.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_cookie::CookieProvider;
use session_core::adapter::{Reply, RequestSession};
use session_core::clock::ManualClock;
use session_core::transport::{Connection, Incoming};
use session_core::{LoadState, Manager, Secret};

const MINUTE: Duration = Duration::from_secs(60);

struct App {
    clock: ManualClock,
    manager: Manager,
}

impl App {
    fn new(max_age: Option<Duration>) -> Self {
        let clock = ManualClock::default();
        let mut builder = CookieProvider::builder().key(Secret::new("0123456789abcdef0123456789abcdef"));
        if let Some(max_age) = max_age {
            builder = builder.max_age(max_age);
        }
        let provider = builder.clock(Arc::new(clock.clone())).build().unwrap();
        let manager = Manager::builder(provider).clock(clock.clone()).build().unwrap();
        Self { clock, manager }
    }

    /// A request with this cookie, with its session loaded.
    async fn request(&self, cookie: &str) -> RequestSession {
        let request = self.manager.request(Incoming { cookies: &[cookie.as_bytes()], ..Incoming::default() });
        request.session().await.unwrap();
        request
    }

    async fn first_visit(&self) -> String {
        let request = self.request("").await;
        request.session().await.unwrap().set("user", "ada").unwrap();
        cookie(&finish(request).await).unwrap()
    }

    async fn keys(&self, cookie: &str) -> Vec<String> {
        let keys = self.request(cookie).await.session().await.unwrap().keys();
        keys.iter().map(ToString::to_string).collect()
    }
}

async fn finish(request: RequestSession) -> Reply {
    request.finish(Connection::default()).await.unwrap()
}

/// The cookie that a browser keeps from now on, if the response sets one.
fn cookie(reply: &Reply) -> Option<String> {
    assert!(reply.headers.len() <= 1);
    reply.headers.first().map(|(_, value)| value.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn with_a_max_age_below_the_idle_timeout_a_cookie_is_reissued_only_when_due() {
    let app = App::new(Some(MINUTE * 10));
    let mut held = app.first_visit().await;
    let mut issued = 0;
    // Two hours of use, one request in ten seconds.
    for _ in 0..720 {
        app.clock.advance(Duration::from_secs(10));
        let request = app.request(&held).await;
        assert!(!request.session().await.unwrap().is_new(), "it is in use");
        if let Some(again) = cookie(&finish(request).await) {
            held = again;
            issued += 1;
        }
    }
    assert_eq!(issued, 120, "once per tenth of ten minutes");
    app.clock.advance(MINUTE * 10);
    assert!(app.request(&held).await.session().await.unwrap().is_new(), "unused for ten minutes");
}

/// A page's image and its form send the same cookie, and are answered in any order.
#[tokio::test]
async fn a_read_only_request_does_not_undo_the_write_of_a_concurrent_one() {
    for max_age in [None, Some(MINUTE * 10)] {
        let app = App::new(max_age);
        let held = app.first_visit().await;
        app.clock.advance(MINUTE * 5);
        let (form, image, late) =
            (app.request(&held).await, app.request(&held).await, app.request(&held).await);
        form.session().await.unwrap().set("form", &1).unwrap();
        let written = cookie(&finish(form).await).unwrap();
        assert_eq!(cookie(&finish(image).await), None, "the form's cookie stays");
        assert_eq!(app.keys(&written).await, ["form", "user"]);
        app.clock.advance(Duration::from_secs(30));
        assert_eq!(cookie(&finish(late).await), None);

        // A request with the form's cookie gets it reissued when due.
        app.clock.advance(MINUTE * 4);
        let again = cookie(&finish(app.request(&written).await).await).expect("it is due");
        assert_eq!(app.keys(&again).await, ["form", "user"]);
    }
}

#[tokio::test]
async fn a_client_with_an_older_cookie_gets_a_new_one_after_a_minute() {
    let app = App::new(None);
    let held = app.first_visit().await;
    app.clock.advance(MINUTE * 5);
    let form = app.request(&held).await;
    form.session().await.unwrap().set("form", &1).unwrap();
    finish(form).await;
    // For example, because the response never arrived.
    assert_eq!(cookie(&finish(app.request(&held).await).await), None);
    app.clock.advance(MINUTE);
    assert!(cookie(&finish(app.request(&held).await).await).is_some());
}

#[tokio::test]
async fn a_read_only_request_does_not_undo_a_sign_in_or_a_logout() {
    let app = App::new(None);
    let held = app.first_visit().await;
    app.clock.advance(MINUTE * 5);
    let (sign_in, image) = (app.request(&held).await, app.request(&held).await);
    let session = sign_in.session().await.unwrap();
    session.regenerate().unwrap();
    session.set("owner", "ada").unwrap();
    let signed_in = cookie(&finish(sign_in).await).unwrap();
    assert_eq!(cookie(&finish(image).await), None, "not the visitor's cookie again");

    app.clock.advance(MINUTE * 5);
    let (logout, image) = (app.request(&signed_in).await, app.request(&signed_in).await);
    logout.destroy().await.unwrap();
    assert!(cookie(&finish(logout).await).is_some_and(|removed| removed.ends_with('=')));
    assert_eq!(cookie(&finish(image).await), None, "not the session that was ended");
}

/// Of two requests that change the session, the last response wins, as documented: only unchanged
/// records are held back.
#[tokio::test]
async fn a_request_that_changes_something_is_always_answered_with_a_cookie() {
    let app = App::new(Some(MINUTE * 10));
    let held = app.first_visit().await;
    let (first, second) = (app.request(&held).await, app.request(&held).await);
    first.session().await.unwrap().set("first", &1).unwrap();
    second.session().await.unwrap().set("second", &2).unwrap();
    let first = cookie(&finish(first).await).unwrap();
    let second = cookie(&finish(second).await).unwrap();
    assert_eq!(app.keys(&first).await, ["first", "user"]);
    assert_eq!(app.keys(&second).await, ["second", "user"]);
}

/// A browser has both where the cookie's path or domain was changed.
#[tokio::test]
async fn of_two_copies_of_one_session_that_were_written_apart_the_later_one_is_used() {
    let app = App::new(None);
    let held = app.first_visit().await;
    let (first, second) = (app.request(&held).await, app.request(&held).await);
    first.session().await.unwrap().set("first", &1).unwrap();
    let first = cookie(&finish(first).await).unwrap();
    app.clock.advance(MINUTE * 2);
    second.session().await.unwrap().set("second", &2).unwrap();
    let second = cookie(&finish(second).await).unwrap();
    for both in [[&first, &second], [&second, &first]] {
        assert_eq!(app.keys(&format!("{}; {}", both[0], both[1])).await, ["second", "user"]);
    }
}

#[tokio::test]
async fn of_two_sessions_of_one_client_none_is_used_even_if_one_is_newer() {
    let app = App::new(None);
    let older = app.first_visit().await;
    app.clock.advance(MINUTE * 2);
    let newer = app.first_visit().await;
    for both in [[&older, &newer], [&newer, &older]] {
        let request = app.request(&format!("{}; {}", both[0], both[1])).await;
        assert_eq!(request.session().await.unwrap().load_state(), LoadState::Ambiguous);
    }
}
