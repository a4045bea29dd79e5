//! The conformance tests for adapters, on axum.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::{HeaderName, StatusCode};
use hyper::body::Frame;
use session_conformance::http::{
    Adapter, Answer, Application, Asked, Before, Body as Text, Chunks, Handler, Hook, Lazy, Outcome, Server,
};
use session_core::Manager;
use session_tower::{Flashes, LazySession, RequestHead, Session, SessionError, SessionLayer};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

session_conformance::http_suite!(Axum);

struct Axum;

enum Admins {}

impl Adapter for Axum {
    fn serve(application: Application) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let service = router(application).into_make_service_with_connect_info::<std::net::SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await });
        Server::new(address, move || task.abort())
    }
}

fn router(application: Application) -> Router {
    let Application { sessions, is_nested, inner, admins, stores_always, on_error, .. } = application;
    let mut router = Router::new();
    for (path, handler) in application.routes {
        let mut route = method(handler);
        if let (true, Some(manager)) = (is_nested, &sessions) {
            route = route.layer(SessionLayer::new(manager.clone()));
        }
        router = router.route(path, route);
    }
    if let Some((after, status)) = application.timeout {
        let status = StatusCode::from_u16(status).unwrap();
        router = router.layer(TimeoutLayer::with_status_code(status, after));
    }
    if let Some(status) = application.catches_panics {
        router = router.layer(CatchPanicLayer::custom(move |_| response(Answer::new(status, "it panicked"))));
    }
    if let Some(manager) = inner {
        router = router.layer(SessionLayer::new(manager));
    }
    if let Some(before) = application.before {
        router = router.layer(from_fn(move |session: Session, request: Request, next: Next| {
            run_before(before.clone(), session, request, next)
        }));
    }
    if let Some(manager) = sessions {
        router = with_sessions(router, manager, stores_always, on_error);
    }
    match admins {
        Some(manager) => router.layer(SessionLayer::new(manager).scope::<Admins>()),
        None => router,
    }
}

fn with_sessions(router: Router, manager: Manager, stores_always: bool, on_error: Option<Hook>) -> Router {
    let layer = SessionLayer::new(manager);
    let layer = if stores_always { layer.store_when(|_| true) } else { layer };
    let Some(hook) = on_error else { return router.layer(layer) };
    router.layer(layer.on_error_with(move |error, head: &RequestHead| {
        let accept = head.headers.get("accept").and_then(|value| value.to_str().ok());
        response(hook(error, Asked { method: head.method.as_str(), path: head.uri.path(), accept }))
    }))
}

async fn run_before(before: Before, session: Session, request: Request, next: Next) -> Response {
    match before(Clone::clone(&session)).await {
        Ok(()) => next.run(request).await,
        Err(error) => SessionError::from(error).into_response(),
    }
}

fn core(session: &Session) -> session_core::Session {
    session_core::Session::clone(session)
}

fn method(handler: Handler) -> MethodRouter {
    match handler {
        Handler::Plain(answer) => get(async move || outcome(answer()).await),
        // The extractors are kept until the handler has ended, as in any handler.
        Handler::Session(answer) => get(async move |session: Session| outcome(answer(core(&session))).await),
        Handler::Lazy(answer) => {
            get(async move |lazy: LazySession| outcome(answer(std::sync::Arc::new(OfRequest(lazy)))).await)
        }
        Handler::Optional(answer) => {
            get(async move |session: Option<Session>| outcome(answer(session.as_ref().map(core))).await)
        }
        Handler::Flashes(answer) => {
            get(async move |messages: Flashes| outcome(answer(messages.into_inner())).await)
        }
        Handler::Thrice(answer) => get(async move |one: Session, two: Session, lazy: LazySession| {
            outcome(answer(core(&one), core(&two), std::sync::Arc::new(OfRequest(lazy)))).await
        }),
        Handler::Both(answer) => get(async move |user: Session, admin: Session<Admins>| {
            outcome(answer(core(&user), session_core::Session::clone(&admin))).await
        }),
        Handler::OptionalBoth(answer) => {
            get(async move |user: Option<Session>, admin: Option<Session<Admins>>| {
                let admin = admin.as_deref().cloned();
                outcome(answer(user.as_ref().map(core), admin)).await
            })
        }
        _ => unreachable!("a kind of handler that is not known here"),
    }
}

async fn outcome(outcome: Outcome) -> Result<Response, SessionError> {
    Ok(response(outcome.await?))
}

fn response(answer: Answer) -> Response {
    let body = match answer.body {
        Text::Text(text) => Body::from(text),
        Text::Stream(chunks) => Body::new(Stream(chunks)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    for (name, value) in answer.headers {
        response.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
    }
    response
}

struct OfRequest(LazySession);

impl Lazy for OfRequest {
    fn session(&self) -> Outcome<session_core::Session> {
        let lazy = self.0.clone();
        Box::pin(async move { lazy.session().await.map(Session::into_inner) })
    }

    fn destroy(&self) -> Outcome<()> {
        let lazy = self.0.clone();
        Box::pin(async move { lazy.destroy().await })
    }
}

struct Stream(Chunks);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk.into()))))
    }
}
