//! Leptos server functions that read and change the session.
//!
//! `SessionLayer` goes around the routes of Leptos. A server function extracts `LazySession`, whose
//! extraction does no I/O: Leptos sends the text of a failed extraction to the browser, and an
//! error of the engine may name hosts. A server function that returns an error is answered 500, and
//! what it changed is not stored.

use axum::Router;
use axum::routing::post;
use leptos::prelude::*;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{LazySession, Session, SessionLayer};
use session_kit::{Error, Manager};

/// The session of the request that called the server function.
async fn session() -> Result<Session, ServerFnError> {
    let session: LazySession = leptos_axum::extract().await?;
    session.session().await.map_err(failed)
}

/// Says no more than the kind: the text is sent to the browser.
fn failed(error: Error) -> ServerFnError {
    ServerFnError::new(format!("your session is not available: {}", error.kind()))
}

/// Counts the visits of a client.
#[server(endpoint = "visit")]
async fn visit() -> Result<u64, ServerFnError> {
    let visits = session().await?.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1);
    visits.map_err(failed)
}

/// Signs a user in. A real one checks a password first.
#[server(endpoint = "sign_in")]
async fn sign_in(user: String) -> Result<(), ServerFnError> {
    let session = session().await?;
    session.sign_in(&user).map_err(failed)?;
    session.set("user", &user).map_err(failed)
}

/// Who is signed in.
#[server(endpoint = "who")]
async fn who() -> Result<Option<String>, ServerFnError> {
    session().await?.get("user").map_err(failed)
}

/// Signs out, without loading the session.
#[server(endpoint = "sign_out")]
async fn sign_out() -> Result<(), ServerFnError> {
    let session: LazySession = leptos_axum::extract().await?;
    session.destroy().await.map_err(failed)
}

fn app(manager: Manager) -> Router {
    Router::new()
        .route("/api/{*function}", post(leptos_axum::handle_server_fns))
        .layer(SessionLayer::new(manager))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = Manager::builder(MemoryProvider::new()).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(manager)).await?)
}
