//! Services other than axum routers, and bodies other than axum's.

use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use session_conformance::http::Shelf;
use session_core::{Error, ErrorKind, Session};
use session_tower::{SessionLayer, request_session};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn any_service_over_http_types_can_ask_for_the_session() {
    let shelf = Shelf::default();
    let count = service_fn(async |request: Request<()>| {
        let session = request_session(&request)?.session().await?;
        let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok::<_, Error>(Response::new(n.to_string()))
    });
    let service = SessionLayer::new(shelf.manager()).keep_body().layer(count);
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    let cookie = first.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let request = Request::get("/").header("cookie", cookie).body(()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().body(), "2");
}

#[tokio::test]
async fn a_body_that_cannot_be_empty_takes_a_hook() {
    /// A body without a `Default`.
    struct Page(&'static str);
    let shelf = Shelf::default();
    shelf.fail_writes(ErrorKind::Unavailable);
    let page = service_fn(async |request: Request<Full<Bytes>>| {
        request_session(&request)?.session().await?.set("n", &1)?;
        Ok::<_, Error>(Response::new(Page("stored")))
    });
    let sorry = |error: &Error| {
        let mut response = Response::new(Page("sorry"));
        *response.status_mut() = session_tower::status(error);
        response
    };
    let service = SessionLayer::new(shelf.manager()).on_error(sorry).layer(page);
    let response = service.oneshot(Request::new(Full::default())).await.unwrap();
    assert_eq!((response.status(), response.body().0), (StatusCode::SERVICE_UNAVAILABLE, "sorry"));
}

#[tokio::test]
async fn an_inner_service_that_fails_stores_nothing_and_its_error_is_passed_on() {
    let shelf = Shelf::default();
    let fails = service_fn(async |request: Request<()>| {
        let session = request_session(&request)?.session().await?;
        session.set("n", &1)?;
        Err::<Response<String>, Error>(Error::new(ErrorKind::Codec, "no answer"))
    });
    let service = SessionLayer::new(shelf.manager()).keep_body().layer(fails);
    let error = service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(error.message(), "no answer");
    assert_eq!((shelf.sessions(), shelf.calls()), (0, 0));
}

#[tokio::test]
async fn a_handle_of_a_request_whose_service_failed_takes_no_changes() {
    let shelf = Shelf::default();
    let kept: Arc<Mutex<Option<Session>>> = Arc::default();
    let place = Arc::clone(&kept);
    let fails = service_fn(move |request: Request<()>| {
        let place = Arc::clone(&place);
        async move {
            let session = request_session(&request)?.session().await?;
            *place.lock().unwrap() = Some(session.into_inner());
            Err::<Response<String>, _>(Error::new(ErrorKind::Codec, "no answer"))
        }
    });
    let service = SessionLayer::new(shelf.manager()).keep_body().layer(fails);
    service.oneshot(Request::new(())).await.unwrap_err();
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(session.set("n", &1).map_err(|error| error.kind()), Err(ErrorKind::Released));
}
