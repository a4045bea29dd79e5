//! What clients send that is no session: never looked up, never adopted, never an error page.

mod support;

use axum::Router;
use axum::routing::get as on_get;
use http::{HeaderValue, Request, StatusCode};
use session_tower::{LazySession, Session, SessionError, SessionLayer};
use support::{NAME, Shelf, cookie_of, get, manager, send, set_cookies, text};

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("bye")
}

fn app(shelf: &Shelf) -> Router {
    Router::new()
        .route("/count", on_get(count))
        .route("/read", on_get(read))
        .route("/logout", on_get(logout))
        .layer(SessionLayer::new(manager(shelf)))
}

#[tokio::test]
async fn checklist_22_what_has_not_the_form_of_an_id_is_never_looked_up() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let good = "a".repeat(43);
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"x".to_vec(),
        b"../../etc/passwd".to_vec(),
        b"..%2f..%2fetc%2fpasswd".to_vec(),
        vec![b'a'; 10_000],
        "é".repeat(20).into_bytes(),
        b"\xff\xfe\x80".to_vec(),
        [good.as_bytes(), b" x"].concat(),
        [good.as_bytes(), b"a"].concat(),
        good.as_bytes()[1..].to_vec(),
        [b"/", &good.as_bytes()[1..]].concat(),
        [&good.as_bytes()[1..], b"\t"].concat(),
        b"'; drop table session; --".to_vec(),
        format!("{good}.Admin").into_bytes(),
    ];
    for value in values {
        let shown = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
        let header = HeaderValue::from_bytes(&[format!("{NAME}=").as_bytes(), &value].concat()).unwrap();
        let request = Request::get("/read").header("cookie", header).body(axum::body::Body::empty()).unwrap();
        let response = send(&app, request).await;
        assert_eq!(response.status(), StatusCode::OK, "{shown}");
        assert_eq!(set_cookies(&response), Vec::<&str>::new(), "{shown}");
        assert_eq!(text(response).await, "None", "{shown}");
        assert_eq!(shelf.calls(), 0, "{shown}");
    }
}

#[tokio::test]
async fn checklist_02_a_well_formed_id_of_somebody_elses_making_is_never_adopted() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let planted = format!("{NAME}={}", "a".repeat(43));
    let response = send(&app, get("/count", &planted)).await;
    let cookie = cookie_of(&response);
    assert_ne!(cookie, planted);
    assert_eq!(text(response).await, "1");
    assert_eq!(text(send(&app, get("/read", &planted)).await).await, "None");
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(1)");
}

#[tokio::test]
async fn cookie_headers_that_are_no_cookies_hide_nothing() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    for noise in [";;;; =; ==a", "=", "no equals sign", "\"quoted; string\"", "\u{7f}"] {
        let bytes = [noise.as_bytes(), b"; ", cookie.as_bytes()].concat();
        let Ok(header) = HeaderValue::from_bytes(&bytes) else { continue };
        let request = Request::get("/read").header("cookie", header).body(axum::body::Body::empty()).unwrap();
        assert_eq!(text(send(&app, request).await).await, "Some(1)", "{noise}");
    }
}

#[tokio::test]
async fn checklist_30_two_live_session_cookies_are_ambiguous_and_a_logout_ends_both() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let one = cookie_of(&send(&app, get("/count", "")).await);
    let two = cookie_of(&send(&app, get("/count", "")).await);
    assert_eq!(shelf.sessions(), 2);
    let both = format!("{one}; {two}");
    let response = send(&app, get("/read", &both)).await;
    assert_eq!(set_cookies(&response), Vec::<&str>::new(), "no removal");
    assert_eq!(text(response).await, "None", "neither is used");

    let dead = format!("{NAME}={}", "a".repeat(43));
    let with_dead = format!("{dead}; {one}; {one}; {NAME}=../..");
    assert_eq!(text(send(&app, get("/read", &with_dead)).await).await, "Some(1)", "the live one is used");

    send(&app, get("/logout", &both)).await;
    assert_eq!(shelf.sessions(), 0);
}

#[tokio::test]
async fn checklist_30_at_most_four_candidates_are_looked_up() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let planted: Vec<_> = (0..50).map(|n| format!("{NAME}={n:a>43}")).collect();
    shelf.calls();
    let response = send(&app, get("/read", &planted.join("; "))).await;
    assert_eq!(text(response).await, "None");
    assert_eq!(shelf.calls(), 4);
}
