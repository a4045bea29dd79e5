//! Promises at the seams between requests, managers, deployments and layers: what a user may expect.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;
#[path = "toy/mod.rs"]
mod toy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use http::StatusCode;
use session_core::{
    Connection, CookieSettings, ErrorKind, Incoming, Manager, ManagerConfig, ManualClock, Provider, Transport,
};
use session_memory::MemoryProvider;
use session_tower::{LazySession, RequestHead, Session, SessionError, SessionLayer};
use support::{Shelf, cookie_of, get, header, manager, send, set_cookies, text};
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use toy::Toy;

const HOUR: Duration = Duration::from_secs(3_600);

type Answer = Result<String, SessionError>;

async fn visit(session: Session) -> Answer {
    Ok(session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}
async fn login(session: Session) -> Answer {
    session.regenerate()?;
    session.set("user", "ada")?;
    Ok("hello".into())
}
async fn whoami(session: Session) -> Answer {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "nobody".into()))
}

/// A background request that still carries the id from before the login, and writes, gets a fresh session
/// Whose cookie overwrites the login's. The tombstone that was read says what happened, and is thrown away.
#[tokio::test]
async fn a_late_request_with_the_replaced_id_does_not_overwrite_the_cookie_of_the_login() {
    let shelf = Shelf::default();
    let app = Router::new()
        .route("/visit", on_get(visit))
        .route("/login", on_get(login))
        .route("/whoami", on_get(whoami))
        .layer(SessionLayer::new(manager(&shelf)));
    let before = cookie_of(&send(&app, get("/visit", "")).await);
    let after = cookie_of(&send(&app, get("/login", &before)).await);
    // Was sent by the browser before the login's answer came.
    let late = send(&app, get("/visit", &before)).await;
    let jar = if set_cookies(&late).is_empty() { after } else { cookie_of(&late) };
    assert_eq!(text(send(&app, get("/whoami", &jar)).await).await, "ada", "still logged in");
}

/// A `LazySession` that outlives its request gives a session that takes changes and stores none.
#[tokio::test]
async fn a_lazy_session_that_outlives_its_request_does_not_swallow_writes() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<LazySession>>> = Arc::default();
    let place = Arc::clone(&kept);
    let upgrade = move |lazy: LazySession| {
        *place.lock().unwrap() = Some(lazy);
        std::future::ready("101, or a stream")
    };
    let app = Router::new()
        .route("/visit", on_get(visit))
        .route("/upgrade", on_get(upgrade))
        .layer(SessionLayer::new(manager(&shelf)));
    let cookie = cookie_of(&send(&app, get("/visit", "")).await);
    send(&app, get("/upgrade", &cookie)).await;
    let lazy = kept.lock().unwrap().take().unwrap();
    let outcome = async { lazy.session().await?.set("from-the-socket", &1) }.await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Released, "never a write lost in silence (DESIGN 3)");
}

/// `Reply` prints the token.
#[tokio::test]
async fn a_reply_does_not_print_the_token() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let request = manager.request(Incoming::default());
    request.session().await.unwrap().set("a", &1).unwrap();
    let reply = request.finish(Connection::default()).await.unwrap();
    let token = request.session().await.unwrap().token().unwrap();
    assert!(!format!("{reply:?}").contains(token.expose()), "{reply:?}");
}

/// Whoever signs in late in the life of a visitor's session is thrown out with it.
#[tokio::test]
async fn a_sign_in_begins_a_new_absolute_time() {
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

/// And there is no way round it in one request: a session that was destroyed takes no new values.
#[tokio::test]
async fn a_session_can_be_ended_and_begun_anew_in_one_request() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let request = manager.request(Incoming::default());
    let session = request.session().await.unwrap();
    session.destroy().await.unwrap();
    session.set("flash", "you are logged out").map_err(|e| e.to_string()).unwrap();
}

/// Two live cookies of one name (the cookie's domain or path was changed in a deployment): nobody can log in
/// Any more, and each try stores one session more.
#[tokio::test]
async fn a_login_heals_ambiguous_cookies() {
    let shelf = Shelf::default();
    let app = Router::new()
        .route("/visit", on_get(visit))
        .route("/login", on_get(login))
        .route("/whoami", on_get(whoami))
        .layer(SessionLayer::new(manager(&shelf)));
    // One with `Domain=example.com` from before the deployment, one for this host only: browsers send both.
    let with_domain = cookie_of(&send(&app, get("/visit", "")).await);
    let mut host_only = cookie_of(&send(&app, get("/visit", "")).await);
    for _ in 0..5 {
        let both = format!("{with_domain}; {host_only}");
        host_only = cookie_of(&send(&app, get("/login", &both)).await);
    }
    let both = format!("{with_domain}; {host_only}");
    let who = text(send(&app, get("/whoami", &both)).await).await;
    assert_eq!(who, "ada");
}

/// "no timeout" is a panic in library code.
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

/// An `anonymous_idle_timeout` that is added in a deployment: of two requests that only read, one fails.
#[tokio::test]
async fn a_request_that_only_reads_is_not_failed_by_a_change_of_class() {
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

/// A session that was loaded, regenerated, released and destroyed in one request: no removal.
#[tokio::test]
async fn a_logout_after_a_regeneration_removes_the_cookie() {
    async fn logout(session: Session) -> Answer {
        session.regenerate()?;
        session.release().await?;
        session.destroy().await?;
        Ok("bye".into())
    }
    let shelf = Shelf::default();
    let app = Router::new()
        .route("/visit", on_get(visit))
        .route("/logout", on_get(logout))
        .layer(SessionLayer::new(manager(&shelf)));
    let cookie = cookie_of(&send(&app, get("/visit", "")).await);
    let response = send(&app, get("/logout", &cookie)).await;
    assert_eq!(set_cookies(&response).len(), 1, "the client's cookie is removed");
}

/// A driver that sends again after a lost answer (redis' cluster client): a create is a conflict, and stored.
#[tokio::test]
async fn a_create_that_the_driver_sent_twice_is_stored_once_and_said_so() {
    let toy = Toy::new(true);
    let manager = Manager::builder(toy.clone()).build().unwrap();
    toy.0.resends.store(true, std::sync::atomic::Ordering::SeqCst);
    let session = manager.create();
    session.set("a", &1).unwrap();
    let outcome = session.release().await;
    outcome.unwrap();
}

/// The README's program never collects.
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

/// "remember me".
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
async fn an_engine_that_answers_within_the_timeout_is_heard() {
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

enum Admins {}

/// Two managers with different cookies in one application: extractors name the one that they want.
#[tokio::test]
async fn a_handler_reaches_the_sessions_of_both_managers() {
    async fn both(user: Session, admin: Session<Admins>) -> Answer {
        user.set("user", "ada")?;
        admin.set("admin", "grace")?;
        Ok("stored".into())
    }
    async fn names(user: Option<Session>, admin: Option<Session<Admins>>) -> Answer {
        let user = user.map(|session| session.get::<String>("user")).transpose()?.flatten();
        let admin = admin.map(|session| session.get::<String>("admin")).transpose()?.flatten();
        Ok(format!("{user:?} {admin:?}"))
    }
    let (users, admins) = (Shelf::default(), Shelf::default());
    let user_manager = support::with_cookie(&users, CookieSettings::host_prefixed("user"));
    let admin_manager = support::with_cookie(&admins, CookieSettings::host_prefixed("admin"));
    let app = Router::new()
        .route("/both", on_get(both))
        .route("/names", on_get(names))
        .layer(SessionLayer::new(admin_manager).scope::<Admins>())
        .layer(SessionLayer::new(user_manager));
    let response = send(&app, get("/both", "")).await;
    assert_eq!((users.sessions(), admins.sessions()), (1, 1));
    let cookies: Vec<_> = set_cookies(&response).iter().map(|line| line.split(';').next().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    let known = text(send(&app, get("/names", &cookies.join("; "))).await).await;
    assert_eq!(known, r#"Some("ada") Some("grace")"#);
    assert_eq!(text(send(&app, get("/names", "")).await).await, "None None", "a visitor has no session");
}

/// A timeout inside of the layer: a sign-in that is half done is not stored, and its cookie is not sent.
#[tokio::test]
async fn a_handler_that_a_timeout_cancels_stores_nothing() {
    async fn half_done(session: Session) -> Answer {
        session.sign_in("ada")?;
        session.set("user", "ada")?;
        std::future::pending::<()>().await;
        Ok("never".into())
    }
    for status in [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT] {
        let shelf = Shelf::default();
        let timeout = TimeoutLayer::with_status_code(status, Duration::from_millis(20));
        let app = Router::new()
            .route("/visit", on_get(visit))
            .route("/login", on_get(half_done))
            .route("/whoami", on_get(whoami))
            .layer(timeout)
            .layer(SessionLayer::new(manager(&shelf)));
        let cookie = cookie_of(&send(&app, get("/visit", "")).await);
        for sent in ["", &*cookie] {
            let response = send(&app, get("/login", sent)).await;
            assert_eq!(response.status(), status);
            assert_eq!(set_cookies(&response).len(), 0);
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(shelf.sessions(), 1);
        }
        assert_eq!(text(send(&app, get("/whoami", &cookie)).await).await, "nobody");
    }
}

/// After a server error nothing is stored that the handler changed, unless that is wanted; after any other answer it is.
#[tokio::test]
async fn what_a_failed_handler_changed_is_not_stored() {
    async fn fails(session: Session) -> Result<StatusCode, SessionError> {
        session.set("half", "done")?;
        Ok(StatusCode::INTERNAL_SERVER_ERROR)
    }
    async fn fails_after_a_save(session: Session) -> Result<StatusCode, SessionError> {
        session.set("whole", "done")?;
        session.save().await?;
        session.set("half", "done")?;
        Ok(StatusCode::INTERNAL_SERVER_ERROR)
    }
    for (stores, path, sessions) in [(false, "/fails", 0), (false, "/saves", 1), (true, "/fails", 1)] {
        let shelf = Shelf::default();
        let mut layer = SessionLayer::new(manager(&shelf));
        if stores {
            layer = layer.store_when(|_| true);
        }
        let app = Router::new()
            .route("/fails", on_get(fails))
            .route("/saves", on_get(fails_after_a_save))
            .layer(layer);
        let response = send(&app, get(path, "")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!((shelf.sessions(), set_cookies(&response).len()), (sessions, sessions), "{path}");
    }
}

/// A response that carries a token is kept by no shared cache, whatever the application says.
#[tokio::test]
async fn a_response_that_carries_a_token_is_never_kept_by_a_shared_cache() {
    async fn cached(
        session: Session,
    ) -> Result<([(&'static str, &'static str); 2], &'static str), SessionError> {
        session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok(([("cache-control", "public, max-age=600"), ("cdn-cache-control", "max-age=600")], "page"))
    }
    let shelf = Shelf::default();
    let app = Router::new().route("/", on_get(cached)).layer(SessionLayer::new(manager(&shelf)));
    let response = send(&app, get("/", "")).await;
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert_eq!(header(&response, "cdn-cache-control"), None);
    let cookie = cookie_of(&response);
    let response = send(&app, get("/", &cookie)).await;
    assert_eq!(header(&response, "cache-control"), Some("public, max-age=600"), "no token in it");
}

/// Layers in any order, and errors that a script of another origin can read.
#[tokio::test]
async fn any_layer_may_be_inside_and_an_error_keeps_its_cors_headers() {
    let shelf = Shelf::default();
    let inside = tower::ServiceBuilder::new()
        .layer(SessionLayer::new(manager(&shelf)))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::new().allow_origin([http::HeaderValue::from_static("https://app.example")]));
    let app = Router::new().route("/visit", on_get(visit)).layer(inside);
    let request = |cookie: &str| {
        let mut request = get("/visit", cookie);
        request.headers_mut().insert("origin", http::HeaderValue::from_static("https://app.example"));
        request
    };
    let response = send(&app, request("")).await;
    assert_eq!(response.status(), StatusCode::OK);
    shelf.fail_writes(ErrorKind::Unavailable);
    let response = send(&app, request(&cookie_of(&response))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "access-control-allow-origin"), Some("https://app.example"));
}

/// The hook sees the request, and answers anything axum can, whatever layer is inside.
#[tokio::test]
async fn a_hook_sees_the_request() {
    let shelf = Shelf::default();
    let hook = |error: &session_core::Error, request: &RequestHead| {
        let wants = request.headers.get("accept").map(|value| value.to_str().unwrap_or_default().to_owned());
        (session_tower::status(error), format!("{} {} {wants:?}", request.method, request.uri.path()))
    };
    let layers = tower::ServiceBuilder::new()
        .layer(SessionLayer::new(manager(&shelf)).on_error_with(hook))
        .layer(TraceLayer::new_for_http());
    let app = Router::new().route("/visit", on_get(visit)).layer(layers);
    shelf.fail_writes(ErrorKind::Unavailable);
    let mut request = get("/visit", "");
    request.headers_mut().insert("accept", http::HeaderValue::from_static("text/html"));
    let response = send(&app, request).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, r#"GET /visit Some("text/html")"#);
}

/// A visitor is told apart from a user whose session has expired.
#[tokio::test]
async fn a_handler_can_tell_an_expired_session_from_a_new_visitor() {
    async fn greet(session: Session) -> String {
        format!("{:?}", session.load_state())
    }
    let shelf = Shelf::default();
    let app = Router::new()
        .route("/visit", on_get(visit))
        .route("/greet", on_get(greet))
        .layer(SessionLayer::new(manager(&shelf)));
    let cookie = cookie_of(&send(&app, get("/visit", "")).await);
    assert_eq!(text(send(&app, get("/greet", "")).await).await, "None");
    assert_eq!(text(send(&app, get("/greet", &cookie)).await).await, "Live");
    shelf.wipe();
    assert_eq!(text(send(&app, get("/greet", &cookie)).await).await, "Expired");
}
