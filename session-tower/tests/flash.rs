//! Messages for the next page, over HTTP.

mod support;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get as on_get, post};
use http::header::LOCATION;
use http::{Method, StatusCode};
use session_conformance::http::Shelf;
use session_core::ErrorKind;
use session_core::flash::Level;
use session_tower::{Flashes, LazySession, Session, SessionError, SessionLayer};
use support::{assert_refused, cookie_of, get, header, send, set_cookies, text};

async fn save(session: Session) -> Result<Redirect, SessionError> {
    session.flash(Level::Success, "saved")?;
    Ok(Redirect::to("/moved"))
}

async fn logout(lazy: LazySession) -> Result<Redirect, SessionError> {
    lazy.destroy().await?;
    lazy.session().await?.flash(Level::Info, "bye")?;
    Ok(Redirect::to("/"))
}

async fn page(messages: Flashes, session: Session) -> Result<String, SessionError> {
    session.update("seen", |seen: Option<u64>| seen.unwrap_or(0) + 1)?;
    let lines: Vec<_> = messages.iter().map(|flash| format!("{} {};", flash.level, flash.message)).collect();
    Ok(lines.concat())
}

async fn failing(messages: Flashes) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{messages:?}"))
}

async fn reading(messages: Flashes) -> String {
    messages.len().to_string()
}

fn app(shelf: &Shelf) -> Router {
    Router::new()
        .route("/", on_get(page))
        .route("/save", post(save))
        .route("/logout", post(logout))
        .route("/moved", on_get(async |_: Session| Redirect::to("/")))
        .route("/failing", on_get(failing))
        .route("/reading", on_get(reading))
        .layer(SessionLayer::new(shelf.manager()))
}

async fn post_to(app: &Router, path: &str, cookie: &str) -> String {
    let mut request = get(path, cookie);
    *request.method_mut() = Method::POST;
    let response = send(app, request).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    if set_cookies(&response).is_empty() { cookie.to_owned() } else { cookie_of(&response) }
}

#[tokio::test]
async fn a_message_is_shown_by_the_page_at_the_end_of_the_redirects_and_not_again() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = post_to(&app, "/save", "").await;
    let moved = send(&app, get("/moved", &cookie)).await;
    assert_eq!(header(&moved, LOCATION.as_str()), Some("/"));
    assert_eq!(text(send(&app, get("/", &cookie)).await).await, "success saved;");
    assert_eq!(text(send(&app, get("/", &cookie)).await).await, "");
}

#[tokio::test]
async fn one_of_several_concurrently_loaded_pages_shows_the_message_and_none_fails() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = post_to(&app, "/save", "").await;
    let mut pages = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (app, request) = (app.clone(), get("/", &cookie));
        pages.spawn(async move {
            let response = send(&app, request).await;
            assert_eq!(response.status(), StatusCode::OK);
            text(response).await
        });
    }
    let shown = pages.join_all().await;
    assert_eq!(shown.iter().filter(|text| *text == "success saved;").count(), 1, "{shown:?}");
    assert_eq!(shown.iter().filter(|text| text.is_empty()).count(), 7, "{shown:?}");
}

#[tokio::test]
async fn a_page_without_messages_only_reads() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    assert_eq!(text(send(&app, get("/reading", "")).await).await, "0");
    assert_eq!(shelf.calls(), 0, "a visitor without a session costs nothing");
    let cookie = post_to(&app, "/save", "").await;
    shelf.calls();
    assert_eq!(text(send(&app, get("/reading", &cookie)).await).await, "1");
    assert_eq!(shelf.calls(), 2, "one read, and one write because a message waited");
    assert_eq!(text(send(&app, get("/reading", &cookie)).await).await, "0");
    assert_eq!(shelf.calls(), 1);
}

#[tokio::test]
async fn a_logout_leaves_a_message_in_a_new_session() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = post_to(&app, "/save", "").await;
    let new = post_to(&app, "/logout", &cookie).await;
    assert_ne!(new, cookie);
    assert_eq!(text(send(&app, get("/", &new)).await).await, "info bye;");
}

#[tokio::test]
async fn messages_wait_while_they_cannot_be_taken() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = post_to(&app, "/save", "").await;
    shelf.fail_writes(ErrorKind::Unavailable);
    assert_refused(send(&app, get("/", &cookie)).await, StatusCode::SERVICE_UNAVAILABLE).await;
    shelf.fail_writes(None);
    assert_eq!(text(send(&app, get("/", &cookie)).await).await, "success saved;");
}

#[tokio::test]
async fn a_failing_page_consumes_its_messages() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = post_to(&app, "/save", "").await;
    assert!(text(send(&app, get("/failing", &cookie)).await).await.contains("saved"));
    assert_eq!(text(send(&app, get("/", &cookie)).await).await, "");
}
