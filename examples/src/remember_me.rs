//! "Remember me": an ordinary sign-in ends when the browser is closed, a remembered one lasts for
//! 30 days.

use std::time::Duration;

use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::{Lifetime, Manager, Result};

const MONTH: Duration = Duration::from_hours(30 * 24);

#[derive(Deserialize)]
struct SignIn {
    user: String,
    #[serde(default)]
    remember: bool,
}

/// The service.
pub fn app() -> Result<Router> {
    let remember = Lifetime::idle(MONTH).absolute(MONTH).persistent(true);
    let manager = Manager::builder(MemoryProvider::new()).class("remember", remember).build()?;
    let routes = Router::new().route("/login", post(login)).route("/class", get(class));
    Ok(routes.layer(SessionLayer::new(manager)))
}

async fn login(session: Session, Form(form): Form<SignIn>) -> Result<&'static str, SessionError> {
    session.sign_in(&form.user)?;
    if form.remember {
        session.set_class("remember")?;
    }
    Ok("welcome")
}

async fn class(session: Session) -> String {
    session.class()
}
