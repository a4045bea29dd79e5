//! The page: forms that post and redirect, so that it works without scripts.

mod facts;
mod log;
mod view;

use axum::Router;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;
use session_kit::tower::{LazySession, Session, SessionError};
use session_kit::{ErrorKind, IdGenerator, Key, RandomIds};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::api;
use crate::error::ApiError;
pub use log::{log_of, remember};

const VISITS: Key<i64> = Key::new("visits");

/// What the page can do, by the path that it posts to.
const ACTIONS: [(&str, &str); 6] = [
    ("visit", "counted a visit"),
    ("login", "logged in"),
    ("logout", "logged out"),
    ("set", "set a value"),
    ("delete", "deleted a value"),
    ("renew", "took a new id"),
];

pub fn routes() -> Router {
    Router::new()
        .route("/", get(show))
        .route("/visit", post(visit))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/set", post(set))
        .route("/delete", post(delete))
        .route("/renew", post(renew))
        .route("/style.css", get(([(CONTENT_TYPE, "text/css")], include_str!("page/style.css"))))
        .route("/icon.svg", get(([(CONTENT_TYPE, "image/svg+xml")], include_str!("page/icon.svg"))))
        .layer(CsrfLayer::new().with_rejection_response(refuse_other_sites))
        .fallback(async || trouble(StatusCode::NOT_FOUND, "There is no such page."))
}

/// The action that a request is, if it is one.
pub fn action(method: &Method, path: &str) -> Option<&'static str> {
    let name = path.strip_prefix('/').filter(|_| method == Method::POST)?;
    ACTIONS.into_iter().find(|(action, _)| *action == name).map(|(action, _)| action)
}

async fn show(headers: HeaderMap, lazy: LazySession) -> Result<Response, SessionError> {
    let session = lazy.session().await?;
    let nonce = RandomIds::new().generate()?;
    let markup = view::page(&view::View {
        manager: lazy.manager(),
        session: &session,
        values: api::data(&session),
        user: session.get(api::USER)?,
        visits: session.get(VISITS).ok().flatten().unwrap_or(0),
        nonce: nonce.expose(),
        log: log_of(&headers),
    });
    Ok(html(StatusCode::OK, nonce.expose(), markup))
}

/// What a form does, and then back to the page.
type Done = Result<Redirect, Trouble>;

const BACK: &str = "/";

async fn visit(session: Session) -> Done {
    session.update(VISITS, |visits| visits.unwrap_or(0).saturating_add(1))?;
    Ok(Redirect::to(BACK))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(session: Session, form: Result<Form<Login>, FormRejection>) -> Done {
    let Form(Login { user }) = form?;
    api::log_in(&session, user.trim())?;
    Ok(Redirect::to(BACK))
}

async fn logout(session: LazySession) -> Done {
    session.destroy().await?;
    Ok(Redirect::to(BACK))
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    value: String,
}

async fn set(session: Session, form: Result<Form<Entry>, FormRejection>) -> Done {
    let Form(Entry { key, value }) = form?;
    // What is no JSON is meant as text.
    let value = serde_json::from_str(&value).unwrap_or(serde_json::Value::String(value));
    session.set(key.trim(), &value)?;
    Ok(Redirect::to(BACK))
}

async fn delete(session: Session, form: Result<Form<Entry>, FormRejection>) -> Done {
    let Form(Entry { key, .. }) = form?;
    session.delete(key)?;
    Ok(Redirect::to(BACK))
}

async fn renew(session: Session) -> Done {
    session.regenerate()?;
    Ok(Redirect::to(BACK))
}

/// `SameSite` keeps the cookie off the requests of other sites. Pages on another port or subdomain are the same site,
/// and are told apart by the layer that answers with this; see `docs/csrf.md`.
fn refuse_other_sites(_: ProtectionError) -> Response {
    trouble(StatusCode::FORBIDDEN, "This form was sent by another site.")
}

/// Why a form did not do what it should.
enum Trouble {
    Session(SessionError),
    Form(StatusCode, String),
}

impl From<session_kit::Error> for Trouble {
    fn from(error: session_kit::Error) -> Self {
        match error.kind() {
            // The only value with a type of its own on the page is the counter.
            ErrorKind::Codec => {
                Self::Form(StatusCode::BAD_REQUEST, "`visits` is no whole number any more.".into())
            }
            _ => Self::Session(error.into()),
        }
    }
}

impl From<FormRejection> for Trouble {
    fn from(rejection: FormRejection) -> Self {
        Self::Form(rejection.status(), "The form could not be read.".into())
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Session(error) => Self::Session(error),
            ApiError::Request(status, message) => Self::Form(status, message),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Form(status, message) => trouble(status, &message),
        }
    }
}

/// A page for what went wrong.
pub fn trouble(status: StatusCode, what: &str) -> Response {
    html(status, "", view::trouble(status, what))
}

/// A page that may load its own style sheet and icon, post its own forms, and nothing else: no script at all.
fn html(status: StatusCode, nonce: &str, markup: Markup) -> Response {
    let inline = if nonce.is_empty() { String::new() } else { format!(" 'nonce-{nonce}'") };
    let policy = format!(
        "default-src 'none'; style-src 'self'{inline}; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, [(CONTENT_SECURITY_POLICY, policy)], markup.into_string()).into_response()
}
