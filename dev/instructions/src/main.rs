//! Does so many requests of one kind: `session-instructions PATH REQUESTS`.
//!
//! `cargo xtask instructions` runs it under callgrind and compares what a request takes with
//! `budget.toml`. Nothing here depends on the time: its clocks do not move.
#![allow(missing_docs)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use session_cache::{Cached, Settings};
use session_cookie::CookieProvider;
use session_core::clock::ManualClock;
use session_core::{Manager, Provider, Secret};
use session_memory::MemoryProvider;
use session_tower::{Session, SessionError, SessionLayer};
use tower::ServiceExt as _;

/// The name, the engine, the path in the application, and whether the client has a session.
const PATHS: [(&str, Engine, &str, bool); 9] = [
    ("untouched", Engine::Memory, "/untouched", true),
    ("anonymous", Engine::Memory, "/read", false),
    ("memory-read", Engine::Memory, "/read", true),
    ("memory-read-modify-write", Engine::Memory, "/rmw", true),
    ("memory-create", Engine::Memory, "/create", false),
    ("cookie-read", Engine::Cookie, "/read", true),
    ("cookie-read-modify-write", Engine::Cookie, "/rmw", true),
    ("cookie-create", Engine::Cookie, "/create", false),
    ("cached-read", Engine::Cached, "/read", true),
];

#[derive(Debug, Clone, Copy)]
enum Engine {
    Memory,
    Cookie,
    /// A cache over memory: what is counted is answered by the cache.
    Cached,
}

impl Engine {
    fn provider(self, clock: &ManualClock) -> session_core::Result<Arc<dyn Provider>> {
        let memory = || MemoryProvider::builder().clock(Arc::new(clock.clone())).build();
        Ok(match self {
            Self::Memory => Arc::new(memory()?),
            Self::Cookie => {
                let key = Secret::new("a key of 32 bytes or more, for counting only");
                Arc::new(CookieProvider::builder().key(key).clock(Arc::new(clock.clone())).build()?)
            }
            Self::Cached => {
                let settings = Settings::new().max_stale(Duration::from_secs(60)).clock(clock.clone());
                Arc::new(Cached::new(memory()?, settings)?)
            }
        })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, requests] = [0, 1].map(|at| arguments.get(at).map_or("", String::as_str));
    let path = PATHS.into_iter().find(|(name, ..)| *name == path);
    let (Some(path), Ok(requests)) = (path, requests.parse()) else {
        let names: Vec<_> = PATHS.iter().map(|(name, ..)| *name).collect();
        eprintln!("session-instructions PATH REQUESTS, where PATH is one of {}", names.join(", "));
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(run(path, requests)).expect("answers");
    ExitCode::SUCCESS
}

async fn run(path: (&str, Engine, &str, bool), requests: usize) -> session_core::Result<()> {
    let (_, engine, uri, with_session) = path;
    let clock = ManualClock::default();
    let manager = Manager::builder_shared(engine.provider(&clock)?).clock(clock).build()?;
    let app = Router::new()
        .route("/untouched", get(async || "ok"))
        .route("/create", get(create))
        .route("/read", get(read))
        .route("/rmw", get(read_modify_write))
        .layer(SessionLayer::new(manager));
    let (_, cookie) = send(&app, "/create", None).await;
    let mut cookie = cookie.filter(|_| with_session);
    // One more, because the first request also does what is done only once.
    for _ in 0..=requests {
        let (status, set) = send(&app, uri, cookie.as_ref()).await;
        assert_eq!(status, StatusCode::OK);
        cookie = set.filter(|_| with_session).or(cookie);
    }
    Ok(())
}

/// The status of the answer, and the cookie that it sets.
async fn send(app: &Router, uri: &str, cookie: Option<&HeaderValue>) -> (StatusCode, Option<HeaderValue>) {
    let mut request = Request::get(uri);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("an answer");
    let set = response.headers().get(header::SET_COOKIE).and_then(|set| set.to_str().ok()?.split(';').next());
    (response.status(), set.and_then(|pair| HeaderValue::from_str(pair).ok()))
}

/// A user as an application keeps one: 240 bytes when encoded.
#[derive(Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    roles: Vec<String>,
    about: String,
}

async fn create(session: Session) -> Result<&'static str, SessionError> {
    let user = User {
        id: 4_711,
        name: "Ada Lovelace".into(),
        email: "ada.lovelace@analytical.example".into(),
        roles: vec!["admin".into(), "editor".into(), "reader".into()],
        about: "x".repeat(120),
    };
    session.set("user", &user)?;
    session.set("count", &0_u64)?;
    Ok("ok")
}

async fn read(session: Session) -> Result<&'static str, SessionError> {
    let user: Option<User> = session.get("user")?;
    let count: Option<u64> = session.get("count")?;
    Ok(if user.is_some() && count.is_some() { "ok" } else { "" })
}

async fn read_modify_write(session: Session) -> Result<&'static str, SessionError> {
    let user: Option<User> = session.get("user")?;
    session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    Ok(if user.is_some() { "ok" } else { "" })
}
