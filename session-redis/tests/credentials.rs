//! A user name and password that change while the application runs.
#![allow(clippy::unwrap_used)] // the helpers are test code too

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{Error, ErrorKind, Provider, Secret};
use session_redis::RedisConfig;
use session_servers::redis::Redis;
use support::{IDLE, id, stored};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: cargo xtask test"]
async fn each_new_connection_asks_for_its_login() {
    let server = Redis::start().unwrap();
    let allow = |user: &str, password: &str| {
        server.cli(&["ACL", "SETUSER", user, "reset", "on", password, "~*", "+@all"]).unwrap();
    };
    allow("app-1", ">first");
    let current = Arc::new(Mutex::new(("app-1", "first")));
    let asked = Arc::new(AtomicU64::new(0));
    let ask = {
        let (current, asked) = (Arc::clone(&current), Arc::clone(&asked));
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            let (user, password) = *current.lock().unwrap();
            async move { Ok((user.to_owned(), Secret::new(password))) }
        }
    };
    let config = RedisConfig::standalone(&server.process().address().to_string()).unwrap();
    let provider = config.credentials(ask).connect().await.unwrap();
    stored(&provider).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    // The rotation invalidates the old login and closes its connections.
    *current.lock().unwrap() = ("app-2", "second");
    allow("app-2", ">second");
    server.cli(&["ACL", "DELUSER", "app-1"]).unwrap();
    for _ in 0..100 {
        if asked.load(Ordering::Relaxed) > 1 && provider.read(&id(), IDLE).await.is_ok() {
            break;
        }
        let _ = provider.read(&id(), IDLE).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stored(&provider).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let clients = server.cli(&["CLIENT", "LIST"]).unwrap();
    assert!(clients.contains("user=app-2") && !clients.contains("user=app-1"), "{clients}");
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn connecting_returns_the_error_of_the_hook() {
    let server = Redis::start().unwrap();
    let config = RedisConfig::standalone(&server.process().address().to_string()).unwrap();
    let broken = || async { Err(Error::new(ErrorKind::Unavailable, "the vault is sealed")) };
    let error = config.clone().credentials(broken).connect().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("sealed"), "{error:?}");

    let wrong = || async { Ok(("default".to_owned(), Secret::new("hunter2"))) };
    let error = config.clone().credentials(wrong).connect().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && !format!("{error:?}").contains("hunter2"), "{error:?}");

    // A hook that hangs is limited by the connect timeout.
    let hangs = || std::future::pending();
    let second = Duration::from_secs(1);
    let error = config.connect_timeout(second).credentials(hangs).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
