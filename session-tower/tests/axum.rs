//! Behaviour of axum only: route layers, `ConnectInfo`, other layers, tasks of handlers, HTTP/2.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use session_conformance::http::Shelf;
use session_core::transport::{CookieSettings, SecureMode, TrustedProxies};
use session_core::{Error, ErrorKind};
use session_tower::{ConnectionInfo, RequestHead, Session, SessionError, SessionLayer};
use support::{assert_refused, cookie_of, get, header, send, set_cookies, text};
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

type Answer = Result<String, SessionError>;

async fn count(session: Session) -> Answer {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Answer {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

fn routes() -> Router {
    Router::new().route("/count", on_get(count)).route("/read", on_get(read))
}

#[tokio::test]
async fn a_route_layer_works_and_an_inner_layer_of_the_same_manager_passes_through() {
    let shelf = Shelf::default();
    let manager = shelf.manager();
    let route = Router::new()
        .route("/count", on_get(count).layer(SessionLayer::new(manager.clone())))
        .route("/bare", on_get(read));
    let response = send(&route, get("/count", "")).await;
    let cookie = cookie_of(&response);
    assert_eq!(send(&route, get("/bare", &cookie)).await.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let nested =
        route.route_layer(SessionLayer::new(manager.clone())).layer(SessionLayer::new(manager.clone()));
    shelf.calls();
    let response = send(&nested, get("/count", "")).await;
    assert_eq!(set_cookies(&response).len(), 1);
    assert_eq!(text(response).await, "1");
    assert_eq!(shelf.calls(), 1, "stored once");
}

/// A route with its own error type extracts the session of an outer router.
#[tokio::test]
async fn nested_routers_options_and_rejections() {
    async fn known(session: Option<Session>) -> String {
        format!("{}", session.is_some())
    }
    async fn wants_json(
        session: Session,
        _: Result<axum::Json<u8>, axum::extract::rejection::JsonRejection>,
    ) -> Answer {
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok("read".into())
    }
    let shelf = Shelf::default();
    let layer = SessionLayer::new(shelf.manager());
    let inner = Router::new()
        .route("/known", on_get(known))
        .route("/json", on_get(wants_json))
        .route_layer(layer.clone());
    let app = Router::new().route("/", on_get(count)).nest("/inner", inner).layer(layer);
    assert_eq!(text(send(&app, get("/inner/known", "")).await).await, "false");
    let response = send(&app, get("/inner/json", "")).await;
    let jar = cookie_of(&response);
    assert_eq!(text(send(&app, get("/inner/known", &jar)).await).await, "true");
    shelf.wipe();
    let response = send(&app, get("/inner/known", &jar)).await;
    assert!(set_cookies(&response).is_empty(), "a stale id touches no cookie");
    assert_eq!(text(response).await, "false");
}

#[tokio::test]
async fn without_a_layer_the_extractor_logs_the_reason_and_tells_the_client_nothing() {
    assert_refused(send(&routes(), get("/read", "")).await, StatusCode::INTERNAL_SERVER_ERROR).await;
    let error = session_tower::request_session(&get("/", "")).unwrap_err();
    assert!(error.message().contains("SessionLayer"), "{error}");
}

#[tokio::test]
async fn logs_of_headers_do_not_print_the_token() {
    let shelf = Shelf::default();
    let response = send(&routes().layer(SessionLayer::new(shelf.manager())), get("/count", "")).await;
    assert!(response.headers()[SET_COOKIE].is_sensitive());
}

#[tokio::test]
async fn connection_info_of_the_server_decides_about_secure() {
    let auto = SecureMode::Auto(TrustedProxies::parse(["10.0.0.0/8"]).unwrap());
    let manager = Shelf::default().manager_with(CookieSettings::named("session").secure(auto));
    let app = routes().layer(SessionLayer::new(manager));
    let secure = async |request| set_cookies(&send(&app, request).await)[0].contains("; Secure");
    let forwarded = |peer: &str| {
        let mut request = get("/count", "");
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 4711)));
        request
    };
    assert!(secure(forwarded("10.1.2.3")).await);
    assert!(!secure(forwarded("192.0.2.1")).await);
    let mut by_proxy = forwarded("192.0.2.1");
    by_proxy.extensions_mut().insert(ConnectionInfo { tls: false, peer: "10.9.9.9".parse().ok() });
    assert!(secure(by_proxy).await, "what is said expressly goes first");
    let mut tls = get("/count", "");
    tls.extensions_mut().insert(ConnectionInfo { tls: true, peer: None });
    assert!(secure(tls).await);
}

#[tokio::test]
async fn the_hook_answers_for_the_extractor_the_handler_and_the_release() {
    let shelf = Shelf::default();
    let sorry = |error: &Error| {
        let body = format!(r#"{{"sorry":"{}"}}"#, error.kind());
        (session_tower::status(error), [("content-type", "application/json")], body).into_response()
    };
    let app = routes().layer(SessionLayer::new(shelf.manager()).on_error(sorry));
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let expect_sorry = async |path: &str| {
        let response = send(&app, get(path, &cookie)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(header(&response, "content-type"), Some("application/json"), "{path}");
        assert_eq!(set_cookies(&response), Vec::<&str>::new(), "{path}");
        assert_eq!(text(response).await, r#"{"sorry":"the engine is unavailable"}"#, "{path}");
    };
    shelf.fail_writes(ErrorKind::Unavailable);
    expect_sorry("/count").await;
    shelf.fail_reads(ErrorKind::Unavailable);
    expect_sorry("/read").await;
}

#[tokio::test]
async fn a_panic_in_a_task_of_the_handler_is_not_answered_with_success() {
    let shelf = Shelf::default();
    let careless = |session: Session| async move {
        let task = tokio::spawn(async move {
            session.set("half", &1).unwrap();
            panic!("the task panics");
        });
        let _ = task.await;
        "all is well"
    };
    let app = Router::new().route("/", on_get(careless)).layer(SessionLayer::new(shelf.manager()));
    assert_refused(send(&app, get("/", "")).await, StatusCode::INTERNAL_SERVER_ERROR).await;
    assert_eq!(shelf.sessions(), 0);
}

#[tokio::test]
async fn the_head_that_a_hook_sees_does_not_print_the_token() {
    let shelf = Shelf::default();
    let printed = Arc::new(Mutex::new(String::new()));
    let place = Arc::clone(&printed);
    let layer = SessionLayer::new(shelf.manager()).on_error_with(move |error, head: &RequestHead| {
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

/// Counts the warnings about dropped changes.
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

/// A websocket that reloads and changes its session, but does not save it.
#[tokio::test]
async fn changes_that_a_long_lived_handle_does_not_save_are_a_warning() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<session_core::Session>>> = Arc::default();
    let place = Arc::clone(&kept);
    let keeps = move |session: Session| {
        *place.lock().unwrap() = Some(session.clone().into_inner());
        async move { Ok::<_, SessionError>(session.set("n", &1)?) }
    };
    let app = Router::new().route("/", on_get(keeps)).layer(SessionLayer::new(shelf.manager()));
    send(&app, get("/", "")).await;
    let session = kept.lock().unwrap().take().unwrap();
    session.reload().await.unwrap();
    session.set("n", &2).unwrap();
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || drop(session));
    assert_eq!(warnings.0.load(Ordering::SeqCst), 1, "its request has ended, and nobody stored the change");
}

/// Layers in any order, and errors that scripts of other origins can read.
#[tokio::test]
async fn any_layer_may_be_inside_and_an_error_keeps_its_cors_headers() {
    let shelf = Shelf::default();
    let inside = tower::ServiceBuilder::new()
        .layer(SessionLayer::new(shelf.manager()))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::new().allow_origin([HeaderValue::from_static("https://app.example")]));
    let app = Router::new().route("/visit", on_get(count)).layer(inside);
    let request = |cookie: &str| {
        let mut request = get("/visit", cookie);
        request.headers_mut().insert("origin", HeaderValue::from_static("https://app.example"));
        request
    };
    let response = send(&app, request("")).await;
    assert_eq!(response.status(), StatusCode::OK);
    shelf.fail_writes(ErrorKind::Unavailable);
    let response = send(&app, request(&cookie_of(&response))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "access-control-allow-origin"), Some("https://app.example"));
}

#[tokio::test]
async fn http_2_clients_may_send_each_cookie_in_a_separate_header() {
    let shelf = Shelf::default();
    let app = routes().layer(SessionLayer::new(shelf.manager()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = app.clone();
    tokio::spawn(async move { axum::serve(listener, server).await });
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = http::Request::get(format!("http://{address}/read"))
        .header("cookie", "theme=dark")
        .header("cookie", &cookie)
        .header("cookie", "lang=en")
        .body(Empty::new())
        .unwrap();
    let response =
        tokio::time::timeout(Duration::from_secs(60), client.request(request)).await.unwrap().unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"Some(1)");
}
