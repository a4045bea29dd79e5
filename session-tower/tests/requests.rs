//! What a request with a session does: load, share, store, hand out the cookie.

mod support;

use axum::body::Body;
use axum::routing::{get as on_get, post};
use axum::{Router, middleware};
use http::{Request, Response, StatusCode};
use session_tower::{LazySession, Session, SessionError, SessionLayer};
use support::{NAME, Shelf, cookie_of, get, header, manager, send, set_cookies, text};

async fn count(session: Session) -> Result<String, SessionError> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.release().await?;
    Ok(session.get::<u64>("n")?.unwrap_or(0).to_string())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

async fn untouched() -> &'static str {
    "ok"
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.regenerate()?;
    session.set("user", "ada")?;
    Ok("hello ada")
}

async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("bye")
}

/// A middleware that uses the session as handlers do.
async fn before(
    session: Session,
    request: Request<Body>,
    next: middleware::Next,
) -> Result<Response<Body>, SessionError> {
    session.set("m", "middleware")?;
    Ok(next.run(request).await)
}

fn routes() -> Router {
    Router::new()
        .route("/count", on_get(count))
        .route("/read", on_get(read))
        .route("/untouched", on_get(untouched))
        .route("/login", post(login).get(login))
        .route("/logout", post(logout).get(logout))
}

fn app(shelf: &Shelf) -> Router {
    routes().layer(SessionLayer::new(manager(shelf)))
}

#[tokio::test]
async fn a_session_begins_with_the_first_write_and_goes_on_with_its_cookie() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let first = send(&app, get("/count", "")).await;
    assert_eq!(set_cookies(&first).len(), 1);
    assert!(set_cookies(&first)[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    assert_eq!(shelf.calls(), 1, "create: one round trip");
    let cookie = cookie_of(&first);
    assert_eq!(text(first).await, "1");

    let second = send(&app, get("/count", &cookie)).await;
    assert_eq!(set_cookies(&second), Vec::<&str>::new(), "the client holds the token already");
    assert_eq!(text(second).await, "2");
    assert_eq!(shelf.calls(), 2, "read and write: two round trips");

    let third = send(&app, get("/read", &cookie)).await;
    assert_eq!(set_cookies(&third), Vec::<&str>::new());
    assert_eq!(text(third).await, "Some(2)");
    assert_eq!(shelf.calls(), 1, "read: one round trip");
}

#[tokio::test]
async fn an_untouched_request_does_no_io_and_its_response_is_left_alone() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    shelf.calls();
    let response = send(&app, get("/untouched", &cookie)).await;
    assert_eq!(header(&response, "cache-control"), None);
    assert_eq!(header(&response, "vary"), None);
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    assert_eq!(text(response).await, "ok");
    assert_eq!(shelf.calls(), 0);
}

#[tokio::test]
async fn a_visitor_who_is_only_looked_at_is_not_stored() {
    let shelf = Shelf::default();
    let response = send(&app(&shelf), get("/read", "")).await;
    assert_eq!(set_cookies(&response), Vec::<&str>::new());
    assert_eq!(text(response).await, "None");
    assert_eq!((shelf.sessions(), shelf.calls()), (0, 0));
}

#[tokio::test]
async fn all_extractors_and_layers_of_a_request_share_one_load_and_one_session() {
    async fn both(one: Session, two: Session, lazy: LazySession) -> Result<String, SessionError> {
        one.set("a", &1)?;
        two.set("b", &2)?;
        Ok(lazy.session().await?.keys().join(","))
    }
    let shelf = Shelf::default();
    let inner = Router::new().route("/", on_get(both)).layer(middleware::from_fn(before));
    let app = routes().nest("/inner", inner).layer(SessionLayer::new(manager(&shelf)));
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    shelf.calls();
    assert_eq!(text(send(&app, get("/inner", &cookie)).await).await, "a,b,m,n");
    assert_eq!(shelf.calls(), 2, "one read, one write");
}

#[tokio::test]
async fn checklist_03_a_login_gets_a_new_id_in_one_cookie_and_the_old_one_is_dead() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let before = cookie_of(&send(&app, get("/count", "")).await);
    let after = cookie_of(&send(&app, get("/login", &before)).await);
    assert_ne!(before, after);
    assert_eq!(text(send(&app, get("/read", &before)).await).await, "None");
    assert_eq!(text(send(&app, get("/read", &after)).await).await, "Some(1)");
}

#[tokio::test]
async fn checklist_05_and_20_a_logout_ends_the_session_and_removes_the_cookie_in_one_round_trip() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    shelf.calls();
    let bye = send(&app, get("/logout", &cookie)).await;
    assert_eq!(shelf.calls(), 1);
    let removal = set_cookies(&bye);
    assert_eq!(removal.len(), 1);
    assert!(removal[0].starts_with(&format!("{NAME}=;")), "{removal:?}");
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=0"] {
        assert!(removal[0].contains(attribute), "{attribute}: {removal:?}");
    }
    assert_eq!(header(&bye, "cache-control"), Some("no-store"));
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "None");

    let again = send(&app, get("/logout", &cookie)).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(set_cookies(&again), Vec::<&str>::new(), "a stale id touches no cookie");
}

#[tokio::test]
async fn a_route_layer_works_and_a_layer_inside_of_one_of_the_same_manager_passes_through() {
    let shelf = Shelf::default();
    let manager = manager(&shelf);
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

#[tokio::test]
async fn two_managers_side_by_side_keep_two_sessions() {
    let (ours, theirs) = (Shelf::default(), Shelf::default());
    let other = support::with_cookie(&theirs, session_core::CookieSettings::host_prefixed("other"));
    let inner = Router::new().route("/count", on_get(count)).layer(SessionLayer::new(other));
    let app = inner.layer(middleware::from_fn(before)).layer(SessionLayer::new(manager(&ours)));
    let response = send(&app, get("/count", "")).await;
    let names: Vec<_> = set_cookies(&response).iter().map(|c| c.split('=').next().unwrap()).collect();
    assert_eq!(names, ["__Host-other", "__Host-session"]);
    assert_eq!((ours.sessions(), theirs.sessions()), (1, 1));
}

#[tokio::test]
async fn a_session_survives_in_several_cookie_headers_among_other_cookies() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let request = Request::get("/read")
        .header("cookie", "theme=dark; lang=en")
        .header("cookie", format!("a=b; {cookie}"))
        .header("cookie", "z=1")
        .body(Body::empty())
        .unwrap();
    assert_eq!(text(send(&app, request).await).await, "Some(1)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_overlapping_counters_count_forty_and_answer_forty_numbers() {
    async fn slow(session: Session) -> Result<String, SessionError> {
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        session.release().await?;
        Ok(session.get::<u64>("n")?.unwrap_or(0).to_string())
    }
    let shelf = Shelf::default();
    let app = routes().route("/slow", on_get(slow)).layer(SessionLayer::new(manager(&shelf)));
    let cookie = cookie_of(&send(&app, get("/count", "")).await);
    let requests: Vec<_> = (0..40)
        .map(|_| {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move { text(send(&app, get("/slow", &cookie)).await).await })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap().parse::<u64>().unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, (2..=41).collect::<Vec<_>>());
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(41)");
}

#[tokio::test]
async fn without_a_layer_the_extractor_says_so_in_the_log_and_nothing_to_the_client() {
    support::assert_refused(send(&routes(), get("/read", "")).await, StatusCode::INTERNAL_SERVER_ERROR).await;
    let error = session_tower::request_session(&get("/", "")).unwrap_err();
    assert!(error.message().contains("SessionLayer"), "{error}");
}
