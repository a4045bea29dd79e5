//! Who is measured. Every peer in its own idioms, with its best settings.

pub mod actix;
pub mod axum_session;
pub mod floor;
pub mod kit;
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

/// A cookie of the usual length.
const FOREIGN: &str = "session=0123456789abcdefghijABCDEFGHIJ01";

/// The web framework without sessions.
pub fn floor(thread: &Thread, job: Job) -> Subject {
    axum(Role::Floor, "axum", thread, floor::app(), job)
}

/// This project over an engine.
pub fn ours(thread: &Thread, provider: impl Provider, job: Job) -> Subject {
    let manager = Manager::builder(provider).build().expect("a manager");
    axum(Role::Ours, "session-kit", thread, kit::app(manager, job.shape), job)
}

/// `tower-sessions` over one of its stores.
pub fn with_tower_sessions<S>(thread: &Thread, store: S, job: Job) -> Subject
where
    S: ::tower_sessions::session_store::SessionStore + Clone,
{
    axum(Role::Peer, TOWER_SESSIONS, thread, tower_sessions::app(store, job.shape), job)
}

/// `axum_session`, over the store that its application has.
pub fn with_axum_session(thread: &Thread, app: Router, job: Job) -> Subject {
    axum(Role::Peer, "axum_session", thread, app, job)
}

/// An axum application as a subject: requests go straight into the router, without a socket.
fn axum(role: Role, name: &'static str, thread: &Thread, app: Router, job: Job) -> Subject {
    let visitors = thread.block_on(async {
        let mut visitors = Vec::new();
        for _ in 0..job.clients {
            visitors.push(Visitor::new(app.clone(), job.work).await);
        }
        visitors
    });
    Subject::of(role, name, thread, visitors)
}

/// A browser: it has the cookies of one session.
pub struct Visitor {
    app: Router,
    work: Work,
    cookies: Option<HeaderValue>,
    /// Sessions to end.
    ready: Vec<HeaderValue>,
}

impl Visitor {
    /// One who does that work, with a session if it needs one.
    pub async fn new(app: Router, work: Work) -> Self {
        let mut visitor = Self { app, work, cookies: None, ready: Vec::new() };
        if work.has_session() {
            // Where there are no sessions, the request is the same.
            visitor.cookies = visitor.create().await.or(Some(HeaderValue::from_static(FOREIGN)));
        }
        visitor
    }

    /// Another one with the same session, who does that work in that application.
    pub fn with(&self, app: Router, work: Work) -> Self {
        Self { app, work, cookies: self.cookies.clone(), ready: Vec::new() }
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
        let response = self.send(self.work, self.cookies.as_ref()).await;
        assert_eq!(response.status(), 200, "{}", self.work.name());
        if self.work == Work::Regenerate {
            self.cookies = cookies(&response);
        }
    }
}

/// What a browser sends back for the cookies of a response; `None` when there are none.
fn cookies(response: &Response<Body>) -> Option<HeaderValue> {
    let cookies = response.headers().get_all(header::SET_COOKIE).iter();
    let pairs: Vec<_> = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect();
    HeaderValue::from_str(&pairs.join("; ")).ok().filter(|pairs| !pairs.is_empty())
}
