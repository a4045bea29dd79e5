//! Messages for the next page, over HTTP.
#![allow(clippy::unwrap_used)]

use actix_web::App;
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service};
use actix_web::web::{Redirect, get, post};
use session_actix::{Flashes, Session, SessionError, SessionMiddleware};
use session_conformance::http::Shelf;
use session_core::flash::Level;

async fn save(session: Session) -> Result<Redirect, SessionError> {
    session.flash(Level::Success, "saved")?;
    Ok(Redirect::to("/").see_other())
}

async fn page(messages: Flashes) -> String {
    messages.into_iter().map(|flash| flash.message).collect()
}

#[actix_web::test]
async fn a_message_is_shown_once_and_taken_by_one_write() {
    let shelf = Shelf::default();
    let app = App::new().route("/save", post().to(save)).route("/", get().to(page));
    let app = init_service(app.wrap(SessionMiddleware::new(shelf.manager()))).await;
    let saved = call_service(&app, TestRequest::post().uri("/save").to_request()).await;
    assert_eq!(saved.status(), StatusCode::SEE_OTHER);
    let cookie =
        saved.headers().get(SET_COOKIE).unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
    for (shown, calls) in [("saved", 2), ("", 1)] {
        shelf.calls();
        let request = TestRequest::get().uri("/").insert_header((COOKIE, &*cookie)).to_request();
        assert_eq!(call_and_read_body(&app, request).await, shown);
        assert_eq!(shelf.calls(), calls);
    }
}
