//! Requests that do everything, streams, and nested routers: what a user may expect, tried from outside.
#![allow(clippy::unwrap_used, clippy::panic, clippy::items_after_statements, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use session_core::{ErrorKind, Transport};
use session_tower::{RequestHead, Session, SessionError, SessionLayer};
use support::{Shelf, cookie_of, get, manager, send, set_cookies, text};

type Answer = Result<String, SessionError>;

async fn count(session: Session) -> Answer {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}
async fn read(session: Session) -> Answer {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

/// A body that ends when its sender is dropped.
struct Waits(tokio::sync::oneshot::Receiver<()>);

impl hyper::body::Body for Waits {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        Future::poll(std::pin::Pin::new(&mut self.0), context).map(|_| None)
    }
}

#[tokio::test]
async fn one_request_that_does_everything_is_answered_with_one_cookie_or_header() {
    for header_mode in [false, true] {
        for held in [false, true] {
            let shelf = Shelf::default();
            let everything = |session: Session| async move {
                session.set("a", &1)?;
                session.save().await?;
                session.regenerate()?;
                session.save().await?;
                session.destroy().await?;
                session.set("flash", "you are logged out")?;
                session.save().await?;
                session.regenerate()?;
                Ok::<_, SessionError>("done")
            };
            let flash = |session: Session| async move {
                Ok::<_, SessionError>(format!("{:?} {:?}", session.keys(), session.get::<String>("flash")?))
            };
            let transport = if header_mode { Transport::header("x-session") } else { Transport::default() };
            let app = Router::new()
                .route("/", on_get(count))
                .route("/everything", on_get(everything))
                .route("/flash", on_get(flash))
                .layer(SessionLayer::new(support::builder(&shelf).transport(transport).build().unwrap()));
            let name = if header_mode { "x-session" } else { "cookie" };
            let said = |response: &http::Response<Body>| {
                if header_mode {
                    let all: Vec<_> = response.headers().get_all("x-session").iter().collect();
                    assert_eq!(all.len(), 1);
                    all[0].to_str().unwrap().to_owned()
                } else {
                    cookie_of(response)
                }
            };
            let mut request = Request::get("/everything");
            if held {
                request = request.header(name, said(&send(&app, get("/", "")).await));
            }
            let response = send(&app, request.body(Body::empty()).unwrap()).await;
            let jar = said(&response);
            assert_eq!(shelf.sessions(), 1, "nothing is left behind");
            let request = Request::get("/flash").header(name, jar).body(Body::empty()).unwrap();
            assert_eq!(text(send(&app, request).await).await, r#"["flash"] Some("you are logged out")"#);
        }
    }
}

#[tokio::test]
async fn a_session_that_this_request_began_and_ended_leaves_no_cookie() {
    let shelf = Shelf::default();
    let brief = |session: Session| async move {
        session.set("a", &1)?;
        session.save().await?;
        session.destroy().await?;
        Ok::<_, SessionError>("done")
    };
    let app = Router::new().route("/", on_get(brief)).layer(SessionLayer::new(manager(&shelf)));
    let response = send(&app, get("/", "")).await;
    assert_eq!((set_cookies(&response).len(), shelf.sessions()), (0, 0));
}

/// Server-sent events: the head leaves with the cookie, and the stream reads; what it sets is refused.
#[tokio::test]
async fn a_stream_reads_the_session_and_is_told_that_it_cannot_set() {
    let shelf = Shelf::default();
    let told = Arc::new(Mutex::new(None));
    let place = Arc::clone(&told);
    let stream = move |session: Session| {
        let place = Arc::clone(&place);
        async move {
            session.set("n", &1_u64)?;
            let (sender, body) = tokio::sync::oneshot::channel::<()>();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let read = session.get::<u64>("n").unwrap();
                let refused = session.set("n", &2_u64).unwrap_err().kind();
                session.reload().await.unwrap();
                session.set("n", &3_u64).unwrap();
                session.save().await.unwrap();
                *place.lock().unwrap() = Some((read, refused));
                drop(sender);
            });
            let body = Body::new(Waits(body));
            Ok::<_, SessionError>(axum::response::Response::new(body))
        }
    };
    let app = Router::new()
        .route("/", on_get(stream))
        .route("/read", on_get(read))
        .layer(SessionLayer::new(manager(&shelf)));
    let response = send(&app, get("/", "")).await;
    let jar = cookie_of(&response);
    assert_eq!(text(send(&app, get("/read", &jar)).await).await, "Some(1)", "stored before the first byte");
    response.into_body().collect().await.unwrap();
    assert_eq!(*told.lock().unwrap(), Some((Some(1), ErrorKind::Released)));
    assert_eq!(text(send(&app, get("/read", &jar)).await).await, "Some(3)");
}

/// A route that answers with an error of its own extracts the session of a router around it.
#[tokio::test]
async fn nested_routers_options_and_rejections() {
    let shelf = Shelf::default();
    let layer = SessionLayer::new(manager(&shelf));
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

/// The session was ended, and then the handler fails with an error of the session.
#[tokio::test]
async fn a_cookie_whose_session_was_ended_goes_also_beside_an_error() {
    let shelf = Shelf::default();
    let plain = |session: Session| async move {
        session.destroy().await?;
        Ok::<_, SessionError>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let fails = |session: Session| async move {
        session.destroy().await?;
        session.set("flash", "bye")?;
        session.get::<u64>("flash")?;
        Ok::<_, SessionError>("never")
    };
    let app = Router::new()
        .route("/", on_get(count))
        .route("/plain", on_get(plain))
        .route("/fails", on_get(fails))
        .layer(SessionLayer::new(manager(&shelf)));
    for path in ["/plain", "/fails"] {
        let jar = cookie_of(&send(&app, get("/", "")).await);
        let response = send(&app, get(path, &jar)).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(shelf.sessions(), 0);
        assert_eq!(set_cookies(&response).len(), 1, "{path}: the session was ended");
    }
}

/// As above, where a hook answers.
#[tokio::test]
async fn a_cookie_whose_session_was_ended_goes_also_beside_the_answer_of_a_hook() {
    let shelf = Shelf::default();
    let fails = |session: Session| async move {
        session.destroy().await?;
        session.set("flash", "bye")?;
        session.get::<u64>("flash")?;
        Ok::<_, SessionError>("never")
    };
    let layer = SessionLayer::new(manager(&shelf))
        .on_error_with(|error, _: &RequestHead| (session_tower::status(error), "sorry"));
    let app = Router::new().route("/", on_get(count)).route("/fails", on_get(fails)).layer(layer);
    let jar = cookie_of(&send(&app, get("/", "")).await);
    let response = send(&app, get("/fails", &jar)).await;
    assert_eq!((response.status(), shelf.sessions()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
    assert_eq!(set_cookies(&response).len(), 1, "the session was ended");
}
