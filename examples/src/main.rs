//! Serves one of the examples: `cargo run -p session-examples -- login`.
#![allow(clippy::print_stdout, reason = "a program for people")]

use axum::Router;
use session_examples::{
    actix_login, api_tokens, cart, chat, cors, login, oauth, own_engine, proxy, remember_me, tenants,
    two_managers,
};

const ADDRESS: &str = "127.0.0.1:3000";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let app: Router = match name.as_str() {
        "login" => login::app()?,
        "oauth" => oauth::app()?,
        "cart" => cart::app()?,
        "remember_me" => remember_me::app()?,
        "two_managers" => two_managers::app()?,
        "cors" => cors::app()?,
        "api_tokens" => api_tokens::app()?,
        "chat" => chat::app()?,
        "tenants" => tenants::app()?,
        "proxy" => proxy::app()?,
        "own_engine" => own_engine::app()?,
        "actix_login" => return Ok(actix_login::serve(ADDRESS).await?),
        other => return Err(format!("there is no example `{other}`: see examples/README.md").into()),
    };
    println!("{name} on http://{ADDRESS}");
    let listener = tokio::net::TcpListener::bind(ADDRESS).await?;
    let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    // On Ctrl-C requests in progress are finished, and their sessions stored.
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    Ok(axum::serve(listener, service).with_graceful_shutdown(stop).await?)
}
