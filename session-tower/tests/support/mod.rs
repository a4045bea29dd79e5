//! Requests to a service without a network.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

pub fn get(path: &str, cookie: &str) -> Request<Body> {
    let mut request = Request::get(path);
    if !cookie.is_empty() {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

pub async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

/// Every `Set-Cookie` of a response.
pub fn set_cookies(response: &Response<Body>) -> Vec<&str> {
    response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
}

/// The `name=value` of the only session cookie that the response sets.
pub fn cookie_of(response: &Response<Body>) -> String {
    let ours: Vec<_> =
        set_cookies(response).into_iter().filter(|cookie| cookie.contains("session=")).collect();
    assert_eq!(ours.len(), 1, "one session cookie: {ours:?}");
    ours[0].split(';').next().unwrap().to_owned()
}

pub fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    let all: Vec<_> = response.headers().get_all(name).iter().collect();
    assert!(all.len() <= 1, "{name} more than once: {all:?}");
    all.first().map(|value| value.to_str().unwrap())
}

/// Asserts that the response has this status, an empty body and no session cookie.
pub async fn assert_refused(response: Response<Body>, status: StatusCode) {
    assert_eq!(response.status(), status);
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    assert_eq!(text(response).await, "");
}
