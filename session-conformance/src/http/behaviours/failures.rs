//! What is answered, and what is stored, when something goes wrong.

use std::sync::Arc;

use session_core::{Error, ErrorKind, Session};

use super::super::application::{Asked, boxed};
use super::super::{Adapter, Answer, Application, Client, Handler, Shelf};
use super::{usual, with_routes};

async fn released_by_hand(session: Session) -> session_core::Result<&'static str> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    session.release().await?;
    Ok("stored")
}

async fn begin(client: Client) -> String {
    client.get("/count", "").await.cookie()
}

pub async fn an_engine_that_is_down_is_503_and_never_a_visitor_who_is_logged_out<A: Adapter>() {
    let shelf = Shelf::default();
    let known = async |session: Option<Session>| Ok(session.is_some().to_string());
    let application = usual(&shelf).get("/released", released_by_hand).optional("/known", known);
    let (_server, client) = application.serve::<A>();
    let cookie = begin(client).await;
    shelf.fail_reads(ErrorKind::Unavailable);
    for path in ["/read", "/count", "/released", "/known"] {
        client.get(path, &cookie).await.assert_refused(503);
    }
    shelf.fail_reads(None);
    shelf.fail_writes(ErrorKind::Unavailable);
    for path in ["/count", "/released", "/logout"] {
        client.get(path, &cookie).await.assert_refused(503);
    }
    client.get("/count", "").await.assert_refused(503);
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)", "reading goes on");

    shelf.fail_writes(None);
    assert_eq!(client.get("/count", &cookie).await.text, "2", "and so does all the rest");
}

pub async fn each_kind_of_failure_has_its_status_and_says_nothing_of_the_inside<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let cookie = begin(client).await;
    for (kind, status) in [
        (ErrorKind::OutcomeUnknown, 503),
        (ErrorKind::Full, 503),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::Conflict, 409),
        (ErrorKind::Codec, 500),
    ] {
        shelf.fail_writes(kind);
        client.get("/count", &cookie).await.assert_refused(status);
    }
    shelf.fail_writes(None);
    shelf.fail_reads(ErrorKind::Unsupported);
    client.get("/read", &cookie).await.assert_refused(503);
}

pub async fn a_session_that_ended_meanwhile_is_409_and_its_cookie_is_left_alone<A: Adapter>() {
    let shelf = Shelf::default();
    let on = shelf.clone();
    let ended = move |session: Session| {
        let shelf = on.clone();
        async move {
            session.set("n", &2)?;
            shelf.wipe();
            Ok("stored")
        }
    };
    let (_server, client) = usual(&shelf).get("/ended", ended).serve::<A>();
    let cookie = begin(client).await;
    client.get("/ended", &cookie).await.assert_refused(409);
    assert_eq!(shelf.sessions(), 0, "nothing came back");
}

pub async fn a_value_that_is_too_large_is_413_and_what_was_stored_stays<A: Adapter>() {
    let shelf = Shelf::default();
    let manager = shelf.builder().max_bytes(10_000).build().expect("a manager");
    let big = async |session: Session| {
        session.set("big", &"x".repeat(100_000))?;
        Ok("stored")
    };
    let application = with_routes(Application::new(manager));
    let (_server, client) = application.get("/big", big).serve::<A>();
    let cookie = begin(client).await;
    client.get("/big", &cookie).await.assert_refused(413);
    assert_eq!(client.get("/read", &cookie).await.text, "Some(1)");
}

/// The second `set` fails: the handler's `?` ends it half-way.
pub async fn a_login_that_fails_half_way_is_not_a_login<A: Adapter>() {
    let shelf = Shelf::default();
    let half = async |session: Session| {
        session.sign_in("ada")?;
        session.set("user", "ada")?;
        session.set("rights", &"x".repeat(5 << 20))?;
        Ok("welcome")
    };
    let (_server, client) = usual(&shelf).get("/half", half).serve::<A>();
    let response = client.get("/half", "").await;
    assert_eq!(response.status, 413);
    assert_eq!((shelf.sessions(), response.set_cookies().len()), (0, 0));
}

pub async fn a_failure_that_the_handler_has_seen_is_the_handlers_to_answer<A: Adapter>() {
    let shelf = Shelf::default();
    let shrugs_off = async |session: Session| {
        session.set("n", &7)?;
        let outcome = session.release().await;
        Ok(if outcome.is_err() { "could not remember that" } else { "stored" })
    };
    // Also one that never got a session.
    let load = Handler::Lazy(Arc::new(|lazy| {
        boxed(async move { Ok(if lazy.session().await.is_err() { "no session today" } else { "a session" }) })
    }));
    let application = usual(&shelf).get("/shrug", shrugs_off).route("/load", load);
    let (_server, client) = application.serve::<A>();
    let cookie = begin(client).await;
    shelf.fail_writes(ErrorKind::Unavailable);
    let response = client.get("/shrug", &cookie).await;
    assert_eq!((response.status, response.set_cookies().len()), (200, 0));
    assert_eq!(response.text, "could not remember that");
    shelf.fail_reads(ErrorKind::Unavailable);
    let response = client.get("/load", &cookie).await;
    assert_eq!((response.status, &*response.text), (200, "no session today"));
}

fn sorry(error: &Error, asked: Asked<'_>) -> Answer {
    let text = format!("{} {} {:?}: {}", asked.method, asked.path, asked.accept, error.kind());
    Answer::new(error.kind().http_status(), text).header("content-type", "text/sorry")
}

pub async fn the_hook_sees_the_request_and_answers_for_the_extractor_the_handler_and_the_release<
    A: Adapter,
>() {
    let shelf = Shelf::default();
    let application = usual(&shelf).get("/released", released_by_hand).on_error(sorry);
    let (_server, client) = application.serve::<A>();
    let cookie = begin(client).await;
    let expect_sorry = async |path: &str| {
        let request = http::Request::get(path).header("cookie", &cookie).header("accept", "text/html");
        let response = client.send(request).await;
        assert_eq!((response.status, response.header("content-type")), (503, Some("text/sorry")), "{path}");
        assert_eq!(response.set_cookies(), Vec::<&str>::new(), "{path}");
        let text = format!(r#"GET {path} Some("text/html"): the engine is unavailable"#);
        assert_eq!(response.text, text);
    };
    shelf.fail_writes(ErrorKind::Unavailable);
    for path in ["/count", "/released", "/logout"] {
        expect_sorry(path).await;
    }
    shelf.fail_reads(ErrorKind::Unavailable);
    expect_sorry("/read").await;
}

/// A middleware inside of the sessions' one that has the session, and fails because of it.
pub async fn the_hook_answers_for_middleware_too<A: Adapter>() {
    let shelf = Shelf::default();
    let guards = async |session: Session| {
        session.update("seen", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        session.release().await
    };
    let application = usual(&shelf).before(guards).on_error(sorry);
    let (_server, client) = application.serve::<A>();
    let cookie = client.get("/untouched", "").await.cookie();
    for (read, write) in [(None, Some(ErrorKind::Unavailable)), (Some(ErrorKind::Unavailable), None)] {
        shelf.fail_reads(read);
        shelf.fail_writes(write);
        let response = client.get("/untouched", &cookie).await;
        assert_eq!((response.status, response.header("content-type")), (503, Some("text/sorry")));
        assert_eq!(response.text, "GET /untouched None: the engine is unavailable");
        assert_eq!(response.set_cookies(), Vec::<&str>::new());
    }
}

pub async fn a_handler_that_answers_an_error_of_its_own_is_stored_all_the_same<A: Adapter>() {
    let shelf = Shelf::default();
    let refuses = async |session: Session| {
        session.update("attempts", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok(Answer::new(403, "wrong password"))
    };
    let (_server, client) = usual(&shelf).get("/refuses", refuses).serve::<A>();
    let response = client.get("/refuses", "").await;
    assert_eq!((response.status, response.set_cookies().len()), (403, 1));
    assert_eq!((&*response.text, shelf.sessions()), ("wrong password", 1));
}

/// After a server error or a timeout, unless that is wanted.
pub async fn what_a_failed_handler_changed_is_not_stored<A: Adapter>() {
    let fails = async |session: Session| {
        session.set("half", "done")?;
        Ok(500)
    };
    let times_out = async |session: Session| {
        session.set("half", "done")?;
        Ok(408)
    };
    let fails_after_a_save = async |session: Session| {
        session.set("whole", "done")?;
        session.save().await?;
        session.set("half", "done")?;
        Ok(500)
    };
    for (always, path, status, sessions) in [
        (false, "/fails", 500, 0),
        (false, "/times-out", 408, 0),
        (false, "/saves", 500, 1),
        (true, "/fails", 500, 1),
    ] {
        let shelf = Shelf::default();
        let mut application =
            usual(&shelf).get("/fails", fails).get("/times-out", times_out).get("/saves", fails_after_a_save);
        application.stores_always = always;
        let (_server, client) = application.serve::<A>();
        let response = client.get(path, "").await;
        assert_eq!(response.status, status);
        assert_eq!((shelf.sessions(), response.set_cookies().len()), (sessions, sessions), "{path}");
    }
}

pub async fn an_error_keeps_the_cors_headers_of_the_answer_that_it_replaces<A: Adapter>() {
    let shelf = Shelf::default();
    let cors = async |session: Session| {
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        let answer = Answer::new(200, "").header("access-control-allow-origin", "https://app.example");
        Ok(answer.header("vary", "Origin").header("x-other", "lost"))
    };
    let (_server, client) = usual(&shelf).get("/cors", cors).serve::<A>();
    let cookie = client.get("/cors", "").await.cookie();
    shelf.fail_writes(ErrorKind::Unavailable);
    let response = client.get("/cors", &cookie).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!((response.header("vary"), response.header("x-other")), (Some("Origin"), None));
}

/// The session was ended, and then the handler fails: by itself, or with an error of the session that a hook may answer.
pub async fn a_cookie_whose_session_was_ended_goes_also_beside_an_error<A: Adapter>() {
    let plain = async |session: Session| {
        session.destroy().await?;
        Ok(500)
    };
    let fails = async |session: Session| {
        session.destroy().await?;
        session.set("flash", "bye")?;
        session.get::<u64>("flash")?;
        Ok("never")
    };
    for hooked in [false, true] {
        let shelf = Shelf::default();
        let mut application = usual(&shelf).get("/plain", plain).get("/fails", fails);
        if hooked {
            application = application.on_error(sorry);
        }
        let (_server, client) = application.serve::<A>();
        for path in ["/plain", "/fails"] {
            let cookie = begin(client).await;
            let response = client.get(path, &cookie).await;
            assert_eq!((response.status, shelf.sessions()), (500, 0));
            assert_eq!(response.set_cookies().len(), 1, "{path}: the session was ended");
        }
    }
}
