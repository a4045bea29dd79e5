//! A shopping cart that survives the sign-in: a new id keeps the data, and two tabs that add at the same time lose nothing.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use session_kit::key::Key;
use session_kit::memory::MemoryProvider;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::{Manager, Result};

const CART: Key<BTreeMap<String, u32>> = Key::new("cart");

/// The service.
pub fn app() -> Result<Router> {
    let manager = Manager::builder(MemoryProvider::new()).build()?;
    Ok(Router::new()
        .route("/cart", get(show))
        .route("/cart/{item}", post(add))
        .route("/login/{user}", post(login))
        .layer(SessionLayer::new(manager)))
}

async fn show(session: Session) -> Result<String, SessionError> {
    let cart = session.get(CART)?.unwrap_or_default();
    let lines: Vec<_> = cart.iter().map(|(item, count)| format!("{count} x {item}")).collect();
    Ok(lines.join(", "))
}

async fn add(session: Session, Path(item): Path<String>) -> Result<&'static str, SessionError> {
    // `update` runs again on the newer cart when another tab was faster.
    session.update(CART, move |cart| {
        let mut cart = cart.unwrap_or_default();
        *cart.entry(item.clone()).or_default() += 1;
        cart
    })?;
    Ok("added")
}

async fn login(session: Session, Path(user): Path<String>) -> Result<&'static str, SessionError> {
    session.sign_in(&user)?;
    Ok("welcome")
}
