//! Sessions over an application's own `deadpool-redis` pool.
//!
//! `cargo run -p session-redis --features deadpool --example deadpool -- redis://127.0.0.1:6379`
#![allow(clippy::print_stdout)] // it is a program for a terminal

use deadpool_redis::{Config, Runtime};
use session_core::Manager;
use session_redis::RedisProvider;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    // Address, login, TLS and the number of connections are the pool's. Sessions hold one or two of
    // its objects.
    let pool = Config::from_url(url).builder()?.max_size(16).runtime(Runtime::Tokio1).build()?;

    let provider = RedisProvider::from_pool(pool.clone()).with_prefix("shop:");
    let manager = Manager::builder(provider).build()?;
    let session = manager.create();
    session.set("user", "ada")?;
    session.release().await?;

    let token = session.token().ok_or("the session was not stored")?;
    let again = manager.load(&token).await?.ok_or("the session is gone")?;
    println!("user: {:?}", again.get::<String>("user")?);
    manager.destroy(&token).await?;

    // The application goes on using the pool.
    let mut connection = pool.get().await?;
    let pong: String = redis::cmd("PING").query_async(&mut connection).await?;
    println!("{pong}");
    Ok(())
}
