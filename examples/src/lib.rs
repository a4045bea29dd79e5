//! Small services that show one task each. Each module has an `app`, which
//! `cargo run -p session-examples -- NAME` serves and a test uses over HTTP.

pub mod actix_login;
pub mod api_tokens;
pub mod cart;
pub mod chat;
pub mod cors;
pub mod login;
pub mod oauth;
pub mod own_engine;
pub mod proxy;
pub mod remember_me;
pub mod tenants;
pub mod two_managers;
