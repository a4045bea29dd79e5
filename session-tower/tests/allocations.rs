//! The number of allocations that a session adds to a request. Counts, unlike times, show a
//! regression even on a busy machine.
#![allow(clippy::unwrap_used)] // the helpers are test code too

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::routing::{MethodRouter, get};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use session_core::Manager;
use session_memory::MemoryProvider;
use session_tower::{Session, SessionError, SessionLayer};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

async fn change(session: Session) -> Result<(), SessionError> {
    session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    Ok(())
}

async fn read(session: Session) -> Result<(), SessionError> {
    assert!(session.get::<u64>("count")?.is_some(), "the session was not found");
    Ok(())
}

struct App {
    runtime: Runtime,
    router: Router,
    cookie: Option<HeaderValue>,
}

impl App {
    /// An application with this handler behind a session layer, and a client that has a session.
    fn with_sessions(handler: MethodRouter) -> Self {
        let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
        let router = Router::new().route("/", handler).route("/begin", get(change));
        let mut app = Self::new(router.layer(SessionLayer::new(manager)));
        let begun = app.call("/begin");
        let cookie = begun.headers()[SET_COOKIE].to_str().unwrap();
        app.cookie = Some(cookie.split(';').next().unwrap().parse().unwrap());
        app
    }

    fn new(router: Router) -> Self {
        let runtime = Builder::new_current_thread().build().unwrap();
        Self { runtime, router, cookie: None }
    }

    fn call(&mut self, path: &'static str) -> Response<Body> {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.headers_mut().extend(self.cookie.clone().map(|cookie| (COOKIE, cookie)));
        self.runtime.block_on(self.router.call(request)).unwrap()
    }

    /// The allocations of one request after a warm-up.
    fn allocations(&mut self) -> u64 {
        (0..10).for_each(|_| drop(self.call("/")));
        measure(|| assert!(self.call("/").status().is_success())).count_total
    }
}

/// The number of allocations in addition to those of a plain handler without a layer. The limits
/// apply to the features of the whole workspace; with this crate's own features, the number is one
/// or two lower.
fn added(handler: MethodRouter) -> u64 {
    let mut floor = App::new(Router::new().route("/", get(async || ())));
    floor.cookie = Some(HeaderValue::from_static("__Host-id=x"));
    App::with_sessions(handler).allocations() - floor.allocations()
}

fn at_most(limit: u64, handler: MethodRouter) {
    let added = added(handler);
    assert!(added <= limit, "{added} allocations");
}

#[test]
fn a_request_that_does_not_touch_its_session_takes_at_most_seven_allocations_more() {
    at_most(7, get(async || ()));
}

#[test]
fn a_request_that_reads_its_session_takes_at_most_eleven_allocations_more() {
    at_most(11, get(read));
}

#[test]
fn a_request_that_changes_its_session_takes_at_most_eighteen_allocations_more() {
    at_most(18, get(change));
}

/// axum boxes a handler's future, which contains this future and two copies of the request. A box
/// of more than 1,032 bytes costs several times as much, because glibc's per-thread cache holds
/// only smaller blocks.
#[test]
fn the_future_of_an_extractor_is_small() {
    let (mut parts, ()) = Request::new(()).into_parts();
    let bytes = size_of_val(&<Session as FromRequestParts<()>>::from_request_parts(&mut parts, &()));
    assert!(bytes <= 128, "{bytes} bytes");
}
