//! Sessions without a web framework: a worker that finishes something for a user, and notes it in
//! their session.
//!
//! `cargo run -p session-kit --example worker --features memory`

#![allow(clippy::print_stdout, reason = "an example talks")]

use session_kit::id::Token;
use session_kit::key::Key;
use session_kit::memory::MemoryProvider;
use session_kit::{ErrorKind, Manager, Result};

const USER: Key<String> = Key::new("user");
const EXPORTS: Key<u32> = Key::new("exports");

#[tokio::main]
async fn main() -> Result<()> {
    // A web service and its workers share the engine; here both are one process.
    let manager = Manager::builder(MemoryProvider::new()).build()?;
    let token = sign_in(&manager, "ada").await?;

    let (one, another) = tokio::join!(export(&manager, &token), export(&manager, &token));
    one?;
    another?;
    let session = manager.load(&token).await?.ok_or_else(ended)?;
    println!("{} has {} exports", session.get(USER)?.unwrap_or_default(), session.get(EXPORTS)?.unwrap_or(0));

    manager.destroy(&token).await?;
    println!("logged out: {}", manager.load(&token).await?.is_none());
    Ok(())
}

/// Signs a user in; returns the token that the client must keep from now on.
async fn sign_in(manager: &Manager, user: &str) -> Result<Token> {
    let session = manager.create();
    session.set(USER, user)?;
    session.set_owner(Some(user))?;
    session.release().await?;
    session.token().ok_or_else(ended)
}

/// Two of these at once count two: the release merges them.
async fn export(manager: &Manager, token: &Token) -> Result<()> {
    let session = manager.load(token).await?.ok_or_else(ended)?;
    session.update(EXPORTS, |done| done.unwrap_or(0) + 1)?;
    session.release().await
}

fn ended() -> session_kit::Error {
    session_kit::Error::new(ErrorKind::Gone, "the user has logged out meanwhile")
}
