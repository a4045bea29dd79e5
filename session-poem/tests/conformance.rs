//! The conformance tests for adapters, on poem.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::http::{self, StatusCode};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Body, Endpoint, EndpointExt, FromRequest, IntoResponse, Request, Response, Route};
use session_conformance::http::{
    Adapter, Answer, Application, Asked, Body as Text, Chunks, Handler, Lazy, Outcome, Server,
};
use session_core::Session as Core;
use session_poem::{
    Flashes, LazySession, Main, OptionalSession, RequestHead, Session, SessionError, SessionMiddleware,
};
use tokio::net::TcpListener;

session_conformance::http_suite!(Poem);

struct Poem;

enum Admins {}

impl Adapter for Poem {
    fn serve(application: Application) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let task = tokio::spawn(accept(listener, Arc::new(endpoint(application))));
        Server::new(address, move || task.abort())
    }
}

/// Serves like poem's own server, which in 3.1.12 awaits a connection once more after its client
/// has disconnected, and then neither drops nor runs the handler.
async fn accept(listener: TcpListener, endpoint: Arc<BoxEndpoint<'static, Response>>) {
    while let Ok((stream, peer)) = listener.accept().await {
        let local = LocalAddr(stream.local_addr().unwrap().into());
        let endpoint = Arc::clone(&endpoint);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let from = (local.clone(), RemoteAddr(peer.into()));
            let endpoint = Arc::clone(&endpoint);
            async move {
                let request = Request::from((request, from.0, from.1, Scheme::HTTP));
                Ok::<http::Response<_>, Infallible>(endpoint.get_response(request).await.into())
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn endpoint(application: Application) -> BoxEndpoint<'static, Response> {
    let Application { sessions, is_nested, inner, admins, timeout, catches_panics, before, .. } = application;
    let mut routes = Route::new();
    for (path, handler) in application.routes {
        routes = match sessions.clone().filter(|_| is_nested) {
            Some(manager) => routes.at(path, Routed(handler).with(SessionMiddleware::new(manager))),
            None => routes.at(path, Routed(handler)),
        };
    }
    let mut app: BoxEndpoint<'static, Response> = routes.boxed();
    if let Some((after, status)) = timeout {
        let limit = move |next: Arc<BoxEndpoint<'static, Response>>, request| async move {
            let in_time = tokio::time::timeout(after, next.call(request)).await;
            in_time.unwrap_or_else(|_| Err(StatusCode::from_u16(status).unwrap().into()))
        };
        app = app.around(limit).boxed();
    }
    if let Some(status) = catches_panics {
        let catch = move |next: Arc<BoxEndpoint<'static, Response>>, request| async move {
            let caught = AssertUnwindSafe(next.call(request)).catch_unwind().await;
            caught.unwrap_or_else(|_| Ok(StatusCode::from_u16(status).unwrap().into_response()))
        };
        app = app.around(catch).boxed();
    }
    if let Some(manager) = inner {
        app = app.with(SessionMiddleware::new(manager)).boxed();
    }
    if let Some(before) = before {
        let run_before = move |next: Arc<BoxEndpoint<'static, Response>>, request: Request| {
            let before = before.clone();
            async move {
                let session = Session::<Main>::from_request_without_body(&request).await?;
                before(core(&session)).await.map_err(SessionError::from)?;
                next.call(request).await
            }
        };
        app = app.around(run_before).boxed();
    }
    if let Some(manager) = sessions {
        let mut middleware = SessionMiddleware::new(manager);
        if application.stores_always {
            middleware = middleware.store_when(|_| true);
        }
        if let Some(hook) = application.on_error {
            middleware = middleware.on_error(move |error, head: &RequestHead| {
                let accept = head.headers.get("accept").and_then(|value| value.to_str().ok());
                response(hook(error, Asked { method: head.method.as_str(), path: head.uri.path(), accept }))
            });
        }
        app = app.with(middleware).boxed();
    }
    if let Some(manager) = admins {
        app = app.with(SessionMiddleware::new(manager).scope::<Admins>()).boxed();
    }
    app
}

fn core<M>(session: &Session<M>) -> Core {
    Core::clone(session)
}

/// A handler, with its extractors.
struct Routed(Handler);

impl Endpoint for Routed {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        // The extractors are kept until the handler has ended, as in any handler.
        match &self.0 {
            Handler::Plain(answer) => outcome(answer()).await,
            Handler::Session(answer) => {
                let session: Session = extract(&request).await?;
                outcome(answer(core(&session))).await
            }
            Handler::Lazy(answer) => outcome(answer(Arc::new(OfRequest(extract(&request).await?)))).await,
            Handler::Optional(answer) => {
                let OptionalSession::<Main>(session) = extract(&request).await?;
                outcome(answer(session.as_ref().map(core))).await
            }
            Handler::Flashes(answer) => {
                let messages: Flashes = extract(&request).await?;
                outcome(answer(messages.into_inner())).await
            }
            Handler::Thrice(answer) => {
                let one: Session = extract(&request).await?;
                let two: Session = extract(&request).await?;
                let lazy = Arc::new(OfRequest(extract(&request).await?));
                outcome(answer(core(&one), core(&two), lazy)).await
            }
            Handler::Both(answer) => {
                let user: Session = extract(&request).await?;
                let admin: Session<Admins> = extract(&request).await?;
                outcome(answer(core(&user), core(&admin))).await
            }
            Handler::OptionalBoth(answer) => {
                let OptionalSession::<Main>(user) = extract(&request).await?;
                let OptionalSession::<Admins>(admin) = extract(&request).await?;
                outcome(answer(user.as_ref().map(core), admin.as_ref().map(core))).await
            }
            _ => unreachable!("a kind of handler that is not known here"),
        }
    }
}

fn extract<'a, T: FromRequest<'a> + 'a>(request: &'a Request) -> BoxFuture<'a, poem::Result<T>> {
    T::from_request_without_body(request).boxed()
}

async fn outcome(outcome: Outcome) -> poem::Result<Response> {
    Ok(response(outcome.await.map_err(SessionError::from)?))
}

fn response(answer: Answer) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    match answer.body {
        Text::Text(text) => response.body(text),
        Text::Stream(chunks) => response.body(Body::from_bytes_stream(Received(chunks))),
    }
}

struct OfRequest(LazySession);

impl Lazy for OfRequest {
    fn session(&self) -> Outcome<Core> {
        let lazy = self.0.clone();
        Box::pin(async move { lazy.session().await.map(Session::into_inner) })
    }

    fn destroy(&self) -> Outcome<()> {
        let lazy = self.0.clone();
        Box::pin(async move { lazy.destroy().await })
    }
}

struct Received(Chunks);

impl Stream for Received {
    type Item = Result<String, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(Ok))
    }
}
