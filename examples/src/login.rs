//! A sign-in with a password. The password is kept as an Argon2id hash (OWASP Password Storage Cheat Sheet), the session gets
//! a new id, and a signed-in user sees and ends their other sessions.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::key::Key;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{LazySession, Session, SessionError, SessionLayer};
use session_kit::{Manager, Result};

const USER: Key<String> = Key::new("user");

#[derive(Clone, Default)]
struct Users(Arc<Mutex<HashMap<String, String>>>);

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

/// The service.
pub fn app() -> Result<Router> {
    let manager = Manager::builder(MemoryProvider::new()).build()?;
    Ok(Router::new()
        .route("/", get(home))
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .with_state(Users::default())
        .layer(SessionLayer::new(manager)))
}

async fn home(session: Session) -> Result<String, SessionError> {
    let user = session.get(USER)?;
    Ok(user.map_or_else(|| "hello, visitor".to_owned(), |user| format!("hello, {user}")))
}

async fn register(State(users): State<Users>, Form(form): Form<Credentials>) -> StatusCode {
    // Hashing takes tens of milliseconds on purpose: not on a worker of the runtime.
    let hash = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(form.password.as_bytes()).map(|hash| hash.to_string())
    });
    let Ok(Ok(hash)) = hash.await else { return StatusCode::INTERNAL_SERVER_ERROR };
    users.0.lock().unwrap_or_else(PoisonError::into_inner).insert(form.user, hash);
    StatusCode::CREATED
}

async fn login(
    State(users): State<Users>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Result<Response, SessionError> {
    let stored = users.0.lock().unwrap_or_else(PoisonError::into_inner).get(&form.user).cloned();
    let right = tokio::task::spawn_blocking(move || is_right(stored.as_deref(), &form.password)).await;
    if !right.unwrap_or(false) {
        return Ok((StatusCode::UNAUTHORIZED, "wrong user or password").into_response());
    }
    session.sign_in(&form.user)?;
    session.set(USER, &form.user)?;
    Ok("welcome".into_response())
}

/// Compares with a hash that nobody has where there is no such user, so that the time tells nothing.
fn is_right(stored: Option<&str>, password: &str) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| {
        Argon2::default().hash_password(b"nobody").map(|hash| hash.to_string()).unwrap_or_default()
    });
    let hash = PasswordHash::new(stored.unwrap_or(&NOBODY));
    let matches =
        hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    matches && stored.is_some()
}

async fn logout(session: LazySession) -> Result<&'static str, SessionError> {
    session.destroy().await?;
    Ok("good bye")
}
