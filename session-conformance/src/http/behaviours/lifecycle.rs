//! What a request with a session does: load, share, store, hand out the cookie.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use session_core::{LoadState, Session};

use super::super::application::boxed;
use super::super::{Adapter, Application, Handler, Shelf};
use super::{NAME, usual, with_routes};

pub async fn a_session_begins_with_the_first_write_and_goes_on_with_its_cookie<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let first = client.get("/count", "").await;
    assert_eq!(first.set_cookies().len(), 1);
    assert!(first.set_cookies()[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    assert_eq!(shelf.calls(), 1, "create: one round trip");
    assert_eq!(first.text, "1");

    let second = client.get("/count", &first.cookie()).await;
    assert_eq!(second.set_cookies(), Vec::<&str>::new(), "the client holds the token already");
    assert_eq!(second.text, "2");
    assert_eq!(shelf.calls(), 2, "read and write: two round trips");

    let third = client.get("/read", &first.cookie()).await;
    assert_eq!(third.set_cookies(), Vec::<&str>::new());
    assert_eq!(third.text, "Some(2)");
    assert_eq!(shelf.calls(), 1, "read: one round trip");
}

pub async fn an_untouched_request_does_no_io_and_its_response_is_left_alone<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    shelf.calls();
    let response = client.get("/untouched", &cookie).await;
    assert_eq!(response.header("cache-control"), None);
    assert_eq!(response.header("vary"), None);
    assert_eq!(response.set_cookies(), Vec::<&str>::new());
    assert_eq!(response.text, "ok");
    assert_eq!(shelf.calls(), 0);
}

pub async fn a_visitor_who_is_only_looked_at_is_not_stored<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let response = client.get("/read", "").await;
    assert_eq!(response.set_cookies(), Vec::<&str>::new());
    assert_eq!(response.text, "None");
    assert_eq!((shelf.sessions(), shelf.calls()), (0, 0));
}

pub async fn all_extractors_and_middleware_of_a_request_share_one_load_and_one_session<A: Adapter>() {
    let shelf = Shelf::default();
    let thrice = Handler::Thrice(Arc::new(|one, two, lazy| {
        boxed(async move {
            one.set("a", &1)?;
            two.set("b", &2)?;
            Ok(lazy.session().await?.keys().join(","))
        })
    }));
    let application = usual(&shelf).route("/thrice", thrice);
    let (_server, client) =
        application.before(|session: Session| async move { session.set("m", "middleware") }).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    shelf.calls();
    assert_eq!(client.get("/thrice", &cookie).await.text, "a,b,m,n");
    assert_eq!(shelf.calls(), 2, "one read, one write");
}

pub async fn a_login_gets_a_new_id_in_one_cookie_and_the_old_one_is_dead<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let before = client.get("/count", "").await.cookie();
    let after = client.get("/login", &before).await.cookie();
    assert_ne!(before, after);
    assert_eq!(client.get("/read", &before).await.text, "None");
    assert_eq!(client.get("/read", &after).await.text, "Some(1)");
}

pub async fn and_20_a_logout_ends_the_session_and_removes_the_cookie_in_one_round_trip<A: Adapter>() {
    let shelf = Shelf::default();
    let (_server, client) = usual(&shelf).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    shelf.calls();
    let bye = client.get("/logout", &cookie).await;
    assert_eq!(shelf.calls(), 1);
    let removal = bye.set_cookies();
    assert_eq!(removal.len(), 1);
    assert!(removal[0].starts_with(&format!("{NAME}=;")), "{removal:?}");
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=0"] {
        assert!(removal[0].contains(attribute), "{attribute}: {removal:?}");
    }
    assert_eq!(bye.header("cache-control"), Some("no-store"));
    assert_eq!(client.get("/read", &cookie).await.text, "None");

    let again = client.get("/logout", &cookie).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.set_cookies(), Vec::<&str>::new(), "a stale id touches no cookie");
}

pub async fn a_logout_after_a_regeneration_removes_the_cookie<A: Adapter>() {
    let shelf = Shelf::default();
    let renewed = async |session: Session| {
        session.regenerate()?;
        session.release().await?;
        session.destroy().await?;
        Ok("bye")
    };
    let (_server, client) = usual(&shelf).get("/renewed", renewed).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let response = client.get("/renewed", &cookie).await;
    assert_eq!(response.set_cookies().len(), 1, "the client's cookie is removed");
}

pub async fn a_session_survives_in_several_cookie_headers_among_other_cookies<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let request = Request::get("/read")
        .header("cookie", "theme=dark; lang=en")
        .header("cookie", format!("a=b; {cookie}"))
        .header("cookie", "z=1");
    assert_eq!(client.send(request).await.text, "Some(1)");
}

pub async fn forty_overlapping_counters_count_forty_and_answer_forty_numbers<A: Adapter>() {
    async fn slow(session: Session) -> session_core::Result<String> {
        session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        session.release().await?;
        Ok(session.get::<u64>("n")?.unwrap_or(0).to_string())
    }
    let (_server, client) = usual(&Shelf::default()).get("/slow", slow).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    let requests: Vec<_> = (0..40)
        .map(|_| {
            let cookie = cookie.clone();
            tokio::spawn(async move { client.get("/slow", &cookie).await.text })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.expect("no panic").parse::<u64>().expect("a number"));
    }
    answers.sort_unstable();
    assert_eq!(answers, (2..=41).collect::<Vec<_>>());
    assert_eq!(client.get("/read", &cookie).await.text, "Some(41)");
}

pub async fn a_session_that_a_request_began_and_ended_leaves_no_cookie<A: Adapter>() {
    let shelf = Shelf::default();
    let brief = async |session: Session| {
        session.set("a", &1)?;
        session.save().await?;
        session.destroy().await?;
        Ok("done")
    };
    let (_server, client) = usual(&shelf).get("/brief", brief).serve::<A>();
    let response = client.get("/brief", "").await;
    assert_eq!((response.set_cookies().len(), shelf.sessions()), (0, 0));
}

/// A background request that still carries the id from before the login, and writes.
pub async fn a_late_request_with_the_replaced_id_does_not_overwrite_the_cookie_of_the_login<A: Adapter>() {
    let (_server, client) = usual(&Shelf::default()).serve::<A>();
    let before = client.get("/count", "").await.cookie();
    let after = client.get("/login", &before).await.cookie();
    let late = client.get("/count", &before).await;
    late.assert_refused(409);
    assert_eq!(client.get("/whoami", &after).await.text, "ada", "still logged in");
}

pub async fn a_handler_can_tell_an_expired_session_from_a_new_visitor<A: Adapter>() {
    let shelf = Shelf::default();
    let greet = async |session: Session| Ok(format!("{:?}", session.load_state()));
    let (_server, client) = usual(&shelf).get("/greet", greet).serve::<A>();
    let cookie = client.get("/count", "").await.cookie();
    assert_eq!(client.get("/greet", "").await.text, format!("{:?}", LoadState::None));
    assert_eq!(client.get("/greet", &cookie).await.text, format!("{:?}", LoadState::Live));
    shelf.wipe();
    assert_eq!(client.get("/greet", &cookie).await.text, format!("{:?}", LoadState::Expired));
}

pub async fn an_optional_session_is_none_for_a_visitor_and_for_a_stale_id<A: Adapter>() {
    let shelf = Shelf::default();
    let known = async |session: Option<Session>| Ok(session.is_some().to_string());
    let (_server, client) = usual(&shelf).optional("/known", known).serve::<A>();
    assert_eq!(client.get("/known", "").await.text, "false");
    let cookie = client.get("/count", "").await.cookie();
    assert_eq!(client.get("/known", &cookie).await.text, "true");
    shelf.wipe();
    let response = client.get("/known", &cookie).await;
    assert!(response.set_cookies().is_empty(), "a stale id touches no cookie");
    assert_eq!(response.text, "false");
}

pub async fn middleware_inside_of_that_of_the_same_manager_passes_requests_through<A: Adapter>() {
    let shelf = Shelf::default();
    let keys = async |session: Session| {
        session.set("h", "handler")?;
        Ok(session.keys().join(","))
    };
    let mut application = usual(&shelf).get("/keys", keys);
    application.is_nested = true;
    let (_server, client) =
        application.before(|session: Session| async move { session.set("m", "middleware") }).serve::<A>();
    let response = client.get("/keys", "").await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(response.text, "h,m", "one session for both");
    assert_eq!((shelf.calls(), shelf.sessions()), (1, 1), "stored once");
}

pub async fn without_the_middleware_an_extractor_fails_and_the_client_is_told_nothing<A: Adapter>() {
    let (_server, client) = with_routes(Application::bare()).serve::<A>();
    for path in ["/read", "/count", "/logout"] {
        client.get(path, "").await.assert_refused(500);
    }
    assert_eq!(client.get("/untouched", "").await.text, "ok");
}
