//! The conformance tests for adapters, on actix-web.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{App, Error as ActixError, HttpResponse, HttpServer, Route};
use futures_util::FutureExt;
use session_actix::{Flashes, LazySession, OptionalSession, Session, SessionError, SessionMiddleware};
use session_conformance::http::{
    Adapter, Answer, Application, Asked, Body, Chunks, Handler, Lazy, Outcome, Server, Shelf,
};
use session_core::Manager;

session_conformance::http_suite!(Actix);

struct Actix;

enum Admins {}

impl Adapter for Actix {
    fn serve(application: Application) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || app(application.clone()))
                    .workers(1)
                    .disable_signals()
                    // Ends the request of a client that disconnects.
                    .h1_allow_half_closed(false)
                    .listen(listener)
                    .unwrap()
                    .run();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = receiver.recv().unwrap();
        Server::new(address, move || drop(handle.stop(false)))
    }
}

fn app(
    application: Application,
) -> App<
    impl actix_web::dev::ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = ActixError,
        InitError = (),
    >,
> {
    let Application { sessions, is_nested, inner, admins, timeout, catches_panics, before, .. } = application;
    let main = {
        let mut main = middleware(sessions.clone());
        if application.stores_always {
            main = main.store_when(|_| true);
        }
        if let Some(hook) = application.on_error {
            main = main.on_error(move |error, head: &RequestHead| {
                let accept = head.headers.get("accept").and_then(|value| value.to_str().ok());
                response(hook(error, Asked { method: head.method.as_str(), path: head.uri.path(), accept }))
            });
        }
        main
    };
    let has_before = before.is_some();
    let run_before = from_fn(move |session: Session, request: ServiceRequest, next: Next<_>| {
        let before = before.clone();
        async move {
            if let Some(before) = before {
                before(core(&session)).await.map_err(SessionError::from)?;
            }
            next.call(request).await
        }
    });
    let catch = from_fn(move |request: ServiceRequest, next: Next<_>| async move {
        let caught = AssertUnwindSafe(next.call(request)).catch_unwind().await;
        let status = StatusCode::from_u16(catches_panics.unwrap()).unwrap();
        caught.unwrap_or_else(|_| Err(InternalError::new("it panicked", status).into()))
    });
    let limit = from_fn(move |request: ServiceRequest, next: Next<_>| async move {
        let (after, status) = timeout.unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let in_time = tokio::time::timeout(after, next.call(request)).await;
        in_time.unwrap_or_else(|_| Err(InternalError::new("too slow", status).into()))
    });
    let routes = application.routes;
    let nested = sessions.clone();
    App::new()
        .configure(move |config: &mut ServiceConfig| {
            for (path, handler) in routes {
                let middleware = middleware(nested.clone());
                let resource = web::resource(path).route(route(handler));
                config.service(resource.wrap(Condition::new(is_nested, middleware)));
            }
        })
        .wrap(Condition::new(timeout.is_some(), limit))
        .wrap(Condition::new(catches_panics.is_some(), catch))
        .wrap(Condition::new(inner.is_some(), middleware(inner)))
        .wrap(Condition::new(has_before, run_before))
        .wrap(Condition::new(sessions.is_some(), main))
        .wrap(Condition::new(admins.is_some(), middleware(admins).scope::<Admins>()))
}

/// A manager that is not used if the test has none.
fn middleware(manager: Option<Manager>) -> SessionMiddleware {
    SessionMiddleware::new(manager.unwrap_or_else(|| Shelf::default().manager()))
}

fn core<M>(session: &Session<M>) -> session_core::Session {
    session_core::Session::clone(session)
}

fn route(handler: Handler) -> Route {
    match handler {
        Handler::Plain(answer) => web::get().to(move || outcome(answer())),
        // The extractors are kept until the handler has ended, as in any handler.
        Handler::Session(answer) => web::get().to(move |session: Session| {
            let answer = Arc::clone(&answer);
            async move { outcome(answer(core(&session))).await }
        }),
        Handler::Lazy(answer) => {
            web::get().to(move |lazy: LazySession| outcome(answer(Arc::new(OfRequest(lazy)))))
        }
        Handler::Optional(answer) => web::get().to(move |session: OptionalSession| {
            let answer = Arc::clone(&answer);
            async move { outcome(answer(session.0.as_ref().map(core))).await }
        }),
        Handler::Flashes(answer) => {
            web::get().to(move |messages: Flashes| outcome(answer(messages.into_inner())))
        }
        Handler::Thrice(answer) => web::get().to(move |one: Session, two: Session, lazy: LazySession| {
            let answer = Arc::clone(&answer);
            async move { outcome(answer(core(&one), core(&two), Arc::new(OfRequest(lazy)))).await }
        }),
        Handler::Both(answer) => web::get().to(move |user: Session, admin: Session<Admins>| {
            let answer = Arc::clone(&answer);
            async move { outcome(answer(core(&user), core(&admin))).await }
        }),
        Handler::OptionalBoth(answer) => {
            web::get().to(move |user: OptionalSession, admin: OptionalSession<Admins>| {
                let answer = Arc::clone(&answer);
                async move { outcome(answer(user.0.as_ref().map(core), admin.0.as_ref().map(core))).await }
            })
        }
        _ => unreachable!("a kind of handler that is not known here"),
    }
}

async fn outcome(outcome: Outcome) -> Result<HttpResponse, SessionError> {
    Ok(response(outcome.await?))
}

fn response(answer: Answer) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap());
    for header in answer.headers {
        response.append_header(header);
    }
    match answer.body {
        Body::Text(text) => response.body(text),
        Body::Stream(chunks) => response.body(BoxBody::new(Stream(chunks))),
    }
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

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(chunk.into())))
    }
}
