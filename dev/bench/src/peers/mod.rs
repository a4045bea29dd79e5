//! The subjects. Every peer in idiomatic code, with its best settings.

pub mod actix;
pub mod axum_session;
pub mod floor;
pub mod kit;
pub mod kit_actix;
pub mod raw;
pub mod tower_sessions;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use session_core::{Manager, Provider};
use tower::ServiceExt as _;

use crate::goals::TOWER_SESSIONS;
use crate::measure::{Client, Role, Subject};
use crate::thread::Thread;
use crate::work::{Job, Work};

/// The value of a cookie of the usual length.
const FOREIGN: &str = "0123456789abcdefghijABCDEFGHIJ01";

/// The web framework without sessions.
pub fn floor(thread: &Thread, job: Job) -> Subject {
    axum(Role::Floor, "axum", thread, floor::app(), job)
}

/// This project over an engine.
pub fn ours(thread: &Thread, provider: impl Provider, job: Job) -> Subject {
    let manager = Manager::builder(provider).build().expect("a manager");
    axum(Role::Ours, "session-kit", thread, kit::app(manager, job.shape), job)
}

/// This project over an engine, in actix-web.
pub fn ours_in_actix(thread: &Thread, provider: impl Provider, job: Job) -> Subject {
    let manager = Manager::builder(provider).build().expect("a manager");
    thread.block_on(kit_actix::subject(thread, manager, job))
}

/// `tower-sessions` over one of its stores.
pub fn with_tower_sessions<S>(thread: &Thread, store: S, job: Job) -> Subject
where
    S: ::tower_sessions::session_store::SessionStore + Clone,
{
    axum(Role::Peer, TOWER_SESSIONS, thread, tower_sessions::app(store, job.shape), job)
}

/// `axum_session`, over its application's store.
pub fn with_axum_session(thread: &Thread, app: Router, job: Job) -> Subject {
    axum(Role::Peer, "axum_session", thread, app, job)
}

/// An axum application as a subject: requests go directly into the router, without a socket.
pub fn axum(role: Role, name: &'static str, thread: &Thread, app: Router, job: Job) -> Subject {
    let visitors = thread.block_on(async {
        let mut visitors = Vec::new();
        for client in 0..job.clients {
            // Staggered, so that they do not all write at the same time.
            let new = Visitor::new(app.clone(), job.work).await;
            let visitor = Visitor { sent: client, follows: job.follows(), ..new };
            visitors.push(visitor);
        }
        visitors
    });
    Subject::of(role, name, thread, visitors)
}

/// A browser with the cookies of one session.
pub struct Visitor {
    app: Router,
    work: Work,
    cookies: Option<HeaderValue>,
    follows: bool,
    /// How many requests.
    sent: usize,
    /// Sessions to end.
    ready: Vec<HeaderValue>,
}

impl Visitor {
    /// A browser that does this work, with a session if it needs one.
    pub async fn new(app: Router, work: Work) -> Self {
        let follows = Job::of(work).follows();
        let mut visitor = Self { app, work, cookies: None, follows, sent: 0, ready: Vec::new() };
        if work.has_session() {
            // Without sessions, the request is the same.
            visitor.cookies = match visitor.create().await {
                None => HeaderValue::from_str(&format!("session={FOREIGN}")).ok(),
                own => own,
            };
        }
        visitor
    }

    /// Another browser with the same session, which does this work in this application.
    pub fn with(&self, app: Router, work: Work) -> Self {
        let follows = Job::of(work).follows();
        Self { app, work, cookies: self.cookies.clone(), follows, sent: 0, ready: Vec::new() }
    }

    /// Sends the request of that work.
    pub async fn send(&self, work: Work, cookies: Option<&HeaderValue>) -> Response<Body> {
        let mut request = Request::get(work.path());
        if let Some(cookies) = cookies {
            request = request.header(header::COOKIE, cookies);
        }
        let request = request.body(Body::empty()).expect("a request");
        self.app.clone().oneshot(request).await.expect("an answer")
    }

    /// Sends its request with its cookies.
    pub async fn status(&self) -> StatusCode {
        self.send(self.work, self.cookies.as_ref()).await.status()
    }

    /// The cookies of a new session.
    async fn create(&self) -> Option<HeaderValue> {
        cookies(&self.send(Work::Create, None).await)
    }
}

impl Client for Visitor {
    async fn prepare(&mut self, requests: usize) {
        if self.work == Work::Destroy {
            for _ in self.ready.len()..requests {
                let cookies = self.create().await;
                self.ready.extend(cookies);
            }
        }
    }

    async fn request(&mut self) {
        if let Some(cookies) = self.ready.pop() {
            self.cookies = Some(cookies);
        }
        let work = self.work.of_request(self.sent);
        self.sent += 1;
        let response = self.send(work, self.cookies.as_ref()).await;
        assert_eq!(response.status(), 200, "{}", self.work.name());
        if self.follows
            && let Some(cookies) = cookies(&response)
        {
            self.cookies = Some(cookies);
        }
    }
}

/// The `Cookie` header for the cookies of a response; `None` if there are none.
fn cookies(response: &Response<Body>) -> Option<HeaderValue> {
    let cookies = response.headers().get_all(header::SET_COOKIE).iter();
    HeaderValue::from_str(&pairs(cookies.map(HeaderValue::as_bytes))?).ok()
}

/// The names and values of such cookies, as a browser sends them; `None` if there are none.
fn pairs<'a>(set: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let pairs: Vec<_> = set.filter_map(|cookie| str::from_utf8(cookie).ok()?.split(';').next()).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}
