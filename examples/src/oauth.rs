//! A sign-in with OAuth 2.0 or `OpenID` Connect: the session keeps the `state` and the PKCE verifier between the two requests.
//!
//! `state` ties the answer to the browser that asked (RFC 6749 section 10.12), and is good once.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use session_kit::id::{IdGenerator, RandomIds};
use session_kit::key::Key;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::transport::{CookieSettings, SameSite, Transport};
use session_kit::{Manager, Result};

const PENDING: Key<Pending> = Key::new("oauth");
const USER: Key<String> = Key::new("user");

/// What must come back, and what proves to the provider that we asked.
#[derive(Serialize, Deserialize, Clone)]
pub struct Pending {
    state: String,
    verifier: String,
}

#[derive(Deserialize)]
struct Answer {
    state: String,
    code: String,
}

/// The service. The provider sends the browser back by a link, so the cookie must be `SameSite=Lax`, not `Strict`.
pub fn app() -> Result<Router> {
    let cookie = CookieSettings::default().same_site(SameSite::Lax);
    let manager = Manager::builder(MemoryProvider::new()).transport(Transport::cookie(cookie)).build()?;
    Ok(Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/callback", get(callback))
        .layer(SessionLayer::new(manager)))
}

async fn home(session: Session) -> Result<String, SessionError> {
    Ok(session.get(USER)?.unwrap_or_else(|| "visitor".to_owned()))
}

async fn login(session: Session) -> Result<Redirect, SessionError> {
    let random = || RandomIds::new().generate().map(|token| token.expose().to_owned());
    let pending = Pending { state: random()?, verifier: random()? };
    session.set(PENDING, &pending)?;
    // A real provider also takes `client_id`, `redirect_uri` and the hash of the verifier as `code_challenge`.
    Ok(Redirect::to(&format!("https://provider.example/authorize?state={}", pending.state)))
}

async fn callback(session: Session, Query(answer): Query<Answer>) -> Result<Response, SessionError> {
    // Of two callbacks with one state only one is stored.
    let pending = session.take(PENDING)?;
    let Some(pending) = pending.filter(|pending| pending.state == answer.state) else {
        return Ok((StatusCode::BAD_REQUEST, "this sign-in was not begun here, or was used").into_response());
    };
    let user = exchange(&answer.code, &pending.verifier);
    session.sign_in(&user)?;
    session.set(USER, &user)?;
    Ok(Redirect::to("/").into_response())
}

/// Where a real service asks the provider who the user is.
fn exchange(code: &str, _verifier: &str) -> String {
    format!("user of {code}")
}
