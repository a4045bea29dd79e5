//! Behaviour of poem only: extractors that hide errors, and errors that pass through middleware.
#![allow(clippy::unwrap_used)]

use std::fmt;

use poem::error::{NotFoundError, ResponseError};
use poem::http::StatusCode;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, get, handler};
use session_conformance::http::Shelf;
use session_core::ErrorKind;
use session_poem::{Session, SessionError, SessionMiddleware, request_session};

#[handler]
fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

#[handler]
fn hides(session: Option<Session>) -> &'static str {
    if session.is_some() { "a session" } else { "a visitor" }
}

/// An application's own error, which can wrap a session error.
#[derive(Debug)]
struct Trouble(SessionError);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("trouble")
    }
}

impl std::error::Error for Trouble {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl ResponseError for Trouble {
    fn status(&self) -> StatusCode {
        StatusCode::CONFLICT
    }
}

#[handler]
fn wraps(session: Session) -> Result<&'static str, Trouble> {
    session.set("half", "done").map_err(|error| Trouble(error.into()))?;
    session.set("rights", &"x".repeat(5 << 20)).map_err(|error| Trouble(error.into()))?;
    Ok("never")
}

#[handler]
fn refuses(session: Session) -> poem::Result<&'static str> {
    session.set("tries", &1).map_err(SessionError::from)?;
    Err(poem::Error::from_status(StatusCode::FORBIDDEN))
}

async fn ask(app: &impl Endpoint, path: &str, cookie: &str) -> Response {
    let request = Request::builder().uri_str(path);
    let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
    app.get_response(request.finish()).await
}

async fn text(response: Response) -> String {
    response.into_body().into_string().await.unwrap()
}

#[tokio::test]
async fn an_extractor_that_hides_a_failure_makes_no_user_look_like_a_visitor() {
    let shelf = Shelf::default();
    let routes = Route::new().at("/count", get(count)).at("/hides", get(hides));
    let app = routes.with(SessionMiddleware::new(shelf.manager()));
    let begun = ask(&app, "/count", "").await;
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap();
    assert_eq!(text(ask(&app, "/hides", cookie).await).await, "a session");
    shelf.fail_reads(ErrorKind::Unavailable);
    let answer = ask(&app, "/hides", cookie).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(answer).await, "");
}

#[tokio::test]
async fn an_application_error_is_a_response_unless_it_wraps_a_session_error() {
    let shelf = Shelf::default();
    let routes = Route::new().at("/wraps", get(wraps)).at("/refuses", get(refuses));
    let app = routes.with(SessionMiddleware::new(shelf.manager()));
    let wrapped = ask(&app, "/wraps", "").await;
    assert_eq!((wrapped.header("set-cookie"), shelf.sessions()), (None, 0));
    let refused = ask(&app, "/refuses", "").await;
    assert_eq!((refused.status(), shelf.sessions()), (StatusCode::FORBIDDEN, 1));
    assert!(refused.header("set-cookie").is_some());
}

#[tokio::test]
async fn an_error_of_a_request_that_did_not_use_its_session_is_passed_on_unchanged() {
    let routes = Route::new().at("/count", get(count));
    let app = routes
        .with(SessionMiddleware::new(Shelf::default().manager()))
        .catch_error(|_: NotFoundError| async { "nothing here".into_response() });
    assert_eq!(text(ask(&app, "/nothing", "").await).await, "nothing here");
}

#[test]
fn without_the_middleware_the_error_says_what_to_add() {
    let error = request_session(&Request::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(".with(SessionMiddleware::new(manager))"), "{error}");
}
