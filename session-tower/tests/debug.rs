//! No type of this crate prints a token.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use http::{Request, StatusCode};
use session_core::flash::Level;
use session_core::{Error, Manager};
use session_memory::MemoryProvider;
use session_tower::{Flashes, LazySession, RequestHead, Session, SessionError, SessionLayer};
use support::{cookie_of, get, send};
use tower::{Layer, Service};

/// The token of the session, in every part of a request that may contain it.
fn everywhere(path: &str, cookie: &str) -> Request<Body> {
    let token = cookie.split_once('=').unwrap().1;
    let mut request = get(&format!("{path}?session={token}"), cookie);
    request.headers_mut().insert("x-session", token.parse().unwrap());
    request
}

#[tokio::test]
async fn no_type_prints_a_token() {
    let manager = Manager::builder(MemoryProvider::new()).build().unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (in_handler, in_hook) = (Arc::clone(&seen), Arc::clone(&seen));
    let layer = SessionLayer::new(manager).on_error_with(move |error: &Error, head: &RequestHead| {
        in_hook.lock().unwrap().push(format!("{error:?} {head:?}"));
        StatusCode::IM_A_TEAPOT
    });
    let walk = async move |lazy: LazySession, session: Session, flashes: Flashes| {
        let core = session.clone().into_inner();
        let mut seen = in_handler.lock().unwrap();
        seen.push(format!("{lazy:?} {session:?} {core:?} {flashes:?} {:?}", lazy.manager()));
        session.set("key", &1)?;
        session.flash(Level::Info, "a message")?;
        seen.push(format!("{lazy:?} {session:?}"));
        Ok::<_, SessionError>("")
    };
    let fail = async |_: Session| Err::<(), _>(SessionError::from(Error::config("wrong")));
    let router = Router::new().route("/", on_get(walk)).route("/fail", on_get(fail));
    let app = router.clone().layer(layer.clone());

    let cookie = cookie_of(&send(&app, get("/", "")).await);
    let token = cookie.split_once('=').unwrap().1;
    send(&app, everywhere("/", &cookie)).await;
    let failed = send(&app, everywhere("/fail", &cookie)).await;
    assert_eq!(failed.status(), StatusCode::IM_A_TEAPOT, "the hook has seen the request");
    let mut service = layer.layer(router);
    let future = service.call(everywhere("/", &cookie));
    seen.lock().unwrap().push(format!("{layer:?} {service:?} {future:?}"));
    future.await.unwrap();

    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 8, "{seen:#?}");
    for text in seen.iter() {
        assert!(!text.contains(token), "{text}");
    }
}
