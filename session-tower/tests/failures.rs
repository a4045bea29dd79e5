//! What is answered, and what is stored, when something goes wrong.

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use http::{Response, StatusCode};
use session_core::{Error, ErrorKind, Session as CoreSession};
use session_tower::{LazySession, Session, SessionError, SessionLayer};
use support::{Shelf, assert_refused, builder, cookie_of, get, header, manager, send, set_cookies, text};
use tokio::sync::Notify;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

type Answer = Result<String, SessionError>;

async fn count(session: Session) -> Answer {
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?.to_string())
}

async fn read(session: Session) -> Answer {
    Ok(format!("{:?}", session.get::<u64>("n")?))
}

async fn big(session: Session) -> Answer {
    session.set("big", &"x".repeat(100_000))?;
    Ok("stored".into())
}

async fn released_by_hand(session: Session) -> Answer {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.release().await?;
    Ok("stored".into())
}

async fn shrugs_off(session: Session) -> &'static str {
    let _ = session.set("n", &7);
    let outcome = session.release().await;
    if outcome.is_err() { "could not remember that" } else { "stored" }
}

async fn logout(session: LazySession) -> Answer {
    session.destroy().await?;
    Ok("bye".into())
}

async fn panics(session: Session) -> Answer {
    session.set("n", &666)?;
    panic!("the handler panics");
}

fn routes() -> Router {
    Router::new()
        .route("/count", on_get(count))
        .route("/read", on_get(read))
        .route("/big", on_get(big))
        .route("/released", on_get(released_by_hand))
        .route("/shrug", on_get(shrugs_off))
        .route("/logout", on_get(logout))
        .route("/panic", on_get(panics))
}

fn app(shelf: &Shelf) -> Router {
    routes().layer(SessionLayer::new(manager(shelf)))
}

async fn begin(app: &Router) -> String {
    cookie_of(&send(app, get("/count", "")).await)
}

#[tokio::test]
async fn checklist_27_an_engine_that_is_down_is_503_and_never_a_visitor_who_is_logged_out() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = begin(&app).await;
    shelf.fail_reads(ErrorKind::Unavailable);
    for path in ["/read", "/count", "/released"] {
        assert_refused(send(&app, get(path, &cookie)).await, StatusCode::SERVICE_UNAVAILABLE).await;
    }
    shelf.fail_reads(None);
    shelf.fail_writes(ErrorKind::Unavailable);
    for path in ["/count", "/released", "/logout"] {
        assert_refused(send(&app, get(path, &cookie)).await, StatusCode::SERVICE_UNAVAILABLE).await;
    }
    assert_refused(send(&app, get("/count", "")).await, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(1)", "reading goes on");

    shelf.fail_writes(None);
    assert_eq!(text(send(&app, get("/count", &cookie)).await).await, "2", "and so does all the rest");
}

#[tokio::test]
async fn each_kind_of_failure_has_its_status_and_says_nothing_of_the_inside() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = begin(&app).await;
    for (kind, status) in [
        (ErrorKind::OutcomeUnknown, StatusCode::SERVICE_UNAVAILABLE),
        (ErrorKind::Full, StatusCode::SERVICE_UNAVAILABLE),
        (ErrorKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        (ErrorKind::Conflict, StatusCode::CONFLICT),
        (ErrorKind::Codec, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        shelf.fail_writes(kind);
        assert_refused(send(&app, get("/count", &cookie)).await, status).await;
    }
    shelf.fail_writes(None);
    shelf.fail_reads(ErrorKind::Unsupported);
    assert_refused(send(&app, get("/read", &cookie)).await, StatusCode::SERVICE_UNAVAILABLE).await;
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_409_and_its_cookie_is_left_alone() {
    let shelf = Shelf::default();
    let on = shelf.clone();
    let ended_meanwhile = move |session: Session| {
        let shelf = on.clone();
        async move {
            session.set("n", &2)?;
            shelf.wipe();
            Ok::<_, SessionError>("stored")
        }
    };
    let app = routes().route("/ended", on_get(ended_meanwhile)).layer(SessionLayer::new(manager(&shelf)));
    let cookie = begin(&app).await;
    assert_refused(send(&app, get("/ended", &cookie)).await, StatusCode::CONFLICT).await;
    assert_eq!(shelf.sessions(), 0, "nothing came back");
}

#[tokio::test]
async fn a_value_that_is_too_large_is_413_and_what_was_stored_stays() {
    let shelf = Shelf::default();
    let app = routes().layer(SessionLayer::new(builder(&shelf).max_bytes(10_000).build().unwrap()));
    let cookie = begin(&app).await;
    assert_refused(send(&app, get("/big", &cookie)).await, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(1)");
}

#[tokio::test]
async fn a_failure_that_the_handler_has_seen_is_the_handlers_to_answer() {
    let shelf = Shelf::default();
    let app = app(&shelf);
    let cookie = begin(&app).await;
    shelf.fail_writes(ErrorKind::Unavailable);
    let response = send(&app, get("/shrug", &cookie)).await;
    assert_eq!((response.status(), set_cookies(&response).len()), (StatusCode::OK, 0));
    assert_eq!(text(response).await, "could not remember that");
}

#[tokio::test]
async fn the_hook_answers_for_the_extractor_the_handler_and_the_release() {
    let shelf = Shelf::default();
    let sorry = |error: &Error| {
        let body = format!(r#"{{"sorry":"{}"}}"#, error.kind());
        (session_tower::status(error), [("content-type", "application/json")], body).into_response()
    };
    let app = routes().layer(SessionLayer::new(manager(&shelf)).on_error(sorry));
    let cookie = begin(&app).await;
    let expect_sorry = async |path: &str| {
        let response = send(&app, get(path, &cookie)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(header(&response, "content-type"), Some("application/json"), "{path}");
        assert_eq!(set_cookies(&response), Vec::<&str>::new(), "{path}");
        assert_eq!(text(response).await, r#"{"sorry":"the engine is unavailable"}"#, "{path}");
    };
    shelf.fail_writes(ErrorKind::Unavailable);
    for path in ["/count", "/released", "/logout"] {
        expect_sorry(path).await;
    }
    shelf.fail_reads(ErrorKind::Unavailable);
    expect_sorry("/read").await;
}

#[tokio::test]
async fn a_handler_that_answers_an_error_of_its_own_is_stored_all_the_same() {
    let shelf = Shelf::default();
    let refuses = |session: Session| async move {
        session.update("attempts", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok::<_, SessionError>((StatusCode::FORBIDDEN, "wrong password"))
    };
    let app = Router::new().route("/", on_get(refuses)).layer(SessionLayer::new(manager(&shelf)));
    let response = send(&app, get("/", "")).await;
    assert_eq!((response.status(), set_cookies(&response).len()), (StatusCode::FORBIDDEN, 1));
    assert_eq!(shelf.sessions(), 1);
}

#[tokio::test]
async fn what_a_panicking_handler_did_is_not_stored_wherever_the_panic_is_caught() {
    let shelf = Shelf::default();
    let outside = app(&shelf).layer(CatchPanicLayer::new());
    let inside = routes().layer(CatchPanicLayer::new()).layer(SessionLayer::new(manager(&shelf)));
    let cookie = begin(&outside).await;
    for (place, app) in [("outside", outside), ("inside", inside)] {
        for (cookie, before) in [("", "None"), (&*cookie, "Some(1)")] {
            let response = send(&app, get("/panic", cookie)).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{place}");
            assert_eq!(set_cookies(&response), Vec::<&str>::new(), "{place}");
            assert_eq!(text(send(&app, get("/read", cookie)).await).await, before, "{place}");
        }
    }
    assert_eq!(shelf.sessions(), 1);
}

#[tokio::test]
async fn a_panic_in_a_task_of_the_handler_is_not_answered_with_success() {
    let shelf = Shelf::default();
    let careless = |session: Session| async move {
        let task = tokio::spawn(async move {
            session.set("half", &1).unwrap();
            panic!("the task panics");
        });
        let _ = task.await;
        "all is well"
    };
    let app = Router::new().route("/", on_get(careless)).layer(SessionLayer::new(manager(&shelf)));
    assert_refused(send(&app, get("/", "")).await, StatusCode::INTERNAL_SERVER_ERROR).await;
    assert_eq!(shelf.sessions(), 0);
}

#[tokio::test]
async fn a_request_that_is_dropped_in_its_handler_stores_nothing() {
    let shelf = Shelf::default();
    let reached = Arc::new(Notify::new());
    let notify = Arc::clone(&reached);
    let hangs = move |session: Session| {
        let notify = Arc::clone(&notify);
        async move {
            session.set("n", &666)?;
            notify.notify_one();
            std::future::pending::<()>().await;
            Ok::<_, SessionError>(())
        }
    };
    let app = routes().route("/hangs", on_get(hangs)).layer(SessionLayer::new(manager(&shelf)));
    let cookie = begin(&app).await;
    shelf.calls();
    let request = tokio::spawn(app.clone().oneshot(get("/hangs", &cookie)));
    reached.notified().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(shelf.calls(), 1, "the read");
    assert_eq!(text(send(&app, get("/read", &cookie)).await).await, "Some(1)");
}

#[tokio::test]
async fn an_inner_service_that_fails_stores_nothing_and_its_error_is_passed_on() {
    let shelf = Shelf::default();
    let fails = tower::service_fn(async |request: http::Request<Body>| {
        let session = session_tower::request_session(&request)?.session().await?;
        session.set("n", &1)?;
        Err::<Response<Body>, Error>(Error::new(ErrorKind::Codec, "no answer"))
    });
    let service = tower::Layer::layer(&SessionLayer::new(manager(&shelf)), fails);
    let error = service.oneshot(get("/", "")).await.unwrap_err();
    assert_eq!(error.message(), "no answer");
    assert_eq!((shelf.sessions(), shelf.calls()), (0, 0));
}

#[tokio::test]
async fn a_handle_that_outlives_its_request_takes_no_more_changes() {
    let shelf = Shelf::default();
    let kept: Arc<std::sync::Mutex<Option<CoreSession>>> = Arc::default();
    let place = Arc::clone(&kept);
    let keeps = move |session: Session| {
        session.set("n", &1).unwrap();
        *place.lock().unwrap() = Some(session.into_inner());
        std::future::ready("kept")
    };
    let app = Router::new().route("/", on_get(keeps)).layer(SessionLayer::new(manager(&shelf)));
    send(&app, get("/", "")).await;
    let session = kept.lock().unwrap().take().unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(session.set("n", &2).unwrap_err().kind(), ErrorKind::Released);
    assert_eq!(session.get::<u64>("n").unwrap(), Some(1));
}
