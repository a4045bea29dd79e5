//! How a request ends: dropped, cancelled, failed, or kept by somebody.
#![allow(clippy::unwrap_used, clippy::panic, clippy::items_after_statements, missing_docs)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use http::{Request, StatusCode};
use session_core::{CookieSettings, ErrorKind, Session as Core};
use session_tower::{LazySession, RequestHead, Session, SessionError, SessionLayer};
use support::{Shelf, cookie_of, get, manager, send, set_cookies, text};
use tokio::sync::Notify;
use tower::ServiceExt;

type Answer = Result<String, SessionError>;

async fn count(session: Session) -> Answer {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}
async fn read(session: Session) -> Answer {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

/// Counts the warnings that say that changes were dropped.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_handle_of_a_request_whose_client_hung_up_takes_no_changes() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<Core>>> = Arc::default();
    let (place, reached) = (Arc::clone(&kept), Arc::new(Notify::new()));
    let notify = Arc::clone(&reached);
    let hangs = move |session: Session| {
        *place.lock().unwrap() = Some(session.into_inner());
        notify.notify_one();
        std::future::pending::<&'static str>()
    };
    let app = Router::new().route("/", on_get(hangs)).layer(SessionLayer::new(manager(&shelf)));
    let request = tokio::spawn(app.oneshot(get("/", "")));
    reached.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let session = kept.lock().unwrap().take().unwrap();
    let set = session.set("n", &1);
    assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::Released), "nobody will store it");
}

#[tokio::test]
async fn a_lazy_session_of_a_request_whose_client_hung_up_takes_no_changes() {
    let shelf = Shelf::default();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let hangs = move |lazy: LazySession| {
        sender.lock().unwrap().take().unwrap().send(lazy).unwrap();
        std::future::pending::<&'static str>()
    };
    let app = Router::new().route("/", on_get(hangs)).layer(SessionLayer::new(manager(&shelf)));
    let request = tokio::spawn(app.oneshot(get("/", "")));
    let lazy = receiver.await.unwrap();
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let set = match lazy.session().await {
        Ok(session) => session.set("n", &1),
        Err(error) => Err(error),
    };
    assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::Released), "nobody will store it");
}

#[tokio::test]
async fn a_handle_of_a_request_whose_service_failed_takes_no_changes() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<Core>>> = Arc::default();
    let place = Arc::clone(&kept);
    let fails = tower::service_fn(move |request: Request<Body>| {
        let place = Arc::clone(&place);
        async move {
            let session = session_tower::request_session(&request)?.session().await?;
            *place.lock().unwrap() = Some(session.into_inner());
            Err::<http::Response<Body>, _>(session_core::Error::new(ErrorKind::Codec, "no answer"))
        }
    });
    let service = tower::Layer::layer(&SessionLayer::new(manager(&shelf)), fails);
    service.oneshot(get("/", "")).await.unwrap_err();
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(session.set("n", &1).map_err(|error| error.kind()), Err(ErrorKind::Released));
}

/// `set` after the first step fails because the session is too large: the handler's `?` ends it half-way.
#[tokio::test]
async fn a_login_that_fails_half_way_is_not_a_login() {
    let shelf = Shelf::default();
    let half = |session: Session| async move {
        session.sign_in("ada")?;
        session.set("user", "ada")?;
        session.set("rights", &"x".repeat(5 << 20))?;
        Ok::<_, SessionError>("welcome")
    };
    let app = Router::new().route("/", on_get(half)).layer(SessionLayer::new(manager(&shelf)));
    let response = send(&app, get("/", "")).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((shelf.sessions(), set_cookies(&response).len()), (0, 0));
}

#[tokio::test]
async fn the_head_that_a_hook_sees_does_not_print_the_token() {
    let shelf = Shelf::default();
    let printed = Arc::new(Mutex::new(String::new()));
    let place = Arc::clone(&printed);
    let layer = SessionLayer::new(manager(&shelf)).on_error_with(move |error, head: &RequestHead| {
        *place.lock().unwrap() = format!("{head:?} {head:#?}");
        session_tower::status(error)
    });
    let app = Router::new().route("/", on_get(count)).layer(layer);
    let jar = cookie_of(&send(&app, get("/", "")).await);
    shelf.fail_writes(ErrorKind::Unavailable);
    send(&app, get("/?__Host-session=0123456789", &jar)).await;
    let printed = printed.lock().unwrap();
    assert!(!printed.is_empty());
    let token = jar.split_once('=').unwrap().1;
    assert!(!printed.contains(token), "the head prints the cookie");
}

/// A websocket that reloads, sets, and forgets to save.
#[tokio::test]
async fn changes_that_a_long_lived_handle_does_not_save_are_a_warning() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<Core>>> = Arc::default();
    let place = Arc::clone(&kept);
    let keeps = move |session: Session| {
        *place.lock().unwrap() = Some(session.clone().into_inner());
        async move { Ok::<_, SessionError>(session.set("n", &1)?) }
    };
    let app = Router::new().route("/", on_get(keeps)).layer(SessionLayer::new(manager(&shelf)));
    send(&app, get("/", "")).await;
    let session = kept.lock().unwrap().take().unwrap();
    session.reload().await.unwrap();
    session.set("n", &2).unwrap();
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || drop(session));
    assert_eq!(warnings.0.load(Ordering::SeqCst), 1, "its request has ended, and nobody stored the change");
}

/// Users and admins: what fails for one does not lose what was stored for the other.
#[tokio::test]
async fn a_failure_of_one_scope_does_not_lose_the_new_id_of_the_other() {
    enum Admins {}
    async fn both(user: Session, admin: Session<Admins>) -> Answer {
        user.regenerate()?;
        admin.set("name", "grace")?;
        Ok(String::new())
    }
    let (users, admins) = (Shelf::default(), Shelf::default());
    let named = |shelf: &Shelf, name: &str| support::with_cookie(shelf, CookieSettings::host_prefixed(name));
    let app = Router::new()
        .route("/", on_get(count))
        .route("/read", on_get(read))
        .route("/both", on_get(both))
        .layer(SessionLayer::new(named(&users, "usersession")))
        .layer(SessionLayer::new(named(&admins, "adminsession")).scope::<Admins>());
    let mut jar = cookie_of(&send(&app, get("/", "")).await);
    admins.fail_writes(ErrorKind::Unavailable);
    let response = send(&app, get("/both", &jar)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    if !set_cookies(&response).is_empty() {
        jar = cookie_of(&response);
    }
    assert_eq!(text(send(&app, get("/read", &jar)).await).await, "Some(1)", "the user is still known");
}

/// An update's function that holds its session, in a request whose client hung up.
#[tokio::test]
async fn a_request_whose_client_hung_up_leaves_no_memory_behind() {
    let shelf = Shelf::default();
    let alive = Arc::new(());
    let (captured, reached) = (Arc::clone(&alive), Arc::new(Notify::new()));
    let notify = Arc::clone(&reached);
    let hangs = move |session: Session| {
        let (captured, notify) = (Arc::clone(&captured), Arc::clone(&notify));
        async move {
            let own = session.clone().into_inner();
            session.update("m", move |old: Option<u64>| {
                let _ = &captured;
                old.unwrap_or(0) + own.get::<u64>("n").ok().flatten().unwrap_or(0)
            })?;
            notify.notify_one();
            std::future::pending::<()>().await;
            Ok::<_, SessionError>(())
        }
    };
    let app = Router::new()
        .route("/", on_get(count))
        .route("/hangs", on_get(hangs))
        .layer(SessionLayer::new(manager(&shelf)));
    let jar = cookie_of(&send(&app, get("/", "")).await);
    let request = tokio::spawn(app.oneshot(get("/hangs", &jar)));
    reached.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(Arc::strong_count(&alive), 1, "the session holds itself");
}

/// A panic that is caught outside of the layer, and a handle that is kept.
#[tokio::test]
async fn a_handle_of_a_handler_that_panicked_takes_no_changes() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<Core>>> = Arc::default();
    let place = Arc::clone(&kept);
    let panics = move |session: Session| {
        *place.lock().unwrap() = Some(session.into_inner());
        async { if true { panic!("in the handler") } else { "never" } }
    };
    let app = Router::new()
        .route("/", on_get(panics))
        .layer(SessionLayer::new(manager(&shelf)))
        .layer(tower_http::catch_panic::CatchPanicLayer::new());
    let response = send(&app, get("/", "")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(session.set("n", &1).map_err(|error| error.kind()), Err(ErrorKind::Released));
}
