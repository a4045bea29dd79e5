//! Servers that require a login, and servers on Unix sockets.

#![allow(clippy::unwrap_used)] // helpers are test code too

use std::time::Duration;

use session_conformance::samples::{IDLE, create, id, over, session, text};
use session_core::{ConnectOptions, Error, ErrorKind, Provider};
use session_memcache::{MemcacheConfig, MemcacheProvider};
use session_servers::memcached::{Memcached, ask};
use tokio::time::sleep;

const PASSWORD: &str = "p@ss,w/rd?#%";

async fn connect(config: &str) -> Result<MemcacheProvider, Error> {
    MemcacheProvider::connect(&config.parse().unwrap()).await
}

/// Creates a session, changes it, and ends it.
async fn works(provider: &dyn Provider) {
    let id = id();
    create(provider, &id, &session("one")).await.unwrap();
    let seen = provider.read(&id, IDLE).await.unwrap().unwrap();
    over(provider, &id, &seen, "two").await.unwrap();
    assert_eq!(text(&provider.read(&id, IDLE).await.unwrap().unwrap()), "two");
    provider.destroy(&id, None).await.unwrap();
    assert!(provider.read(&id, IDLE).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_required_login_is_given_by_string_url_and_builder() {
    let server = Memcached::start_with_login("app", PASSWORD).unwrap();
    let address = server.process().address().to_string();
    let encoded = "p%40ss%2Cw%2Frd%3F%23%25";
    let built = MemcacheConfig::new([&address]).unwrap().login("app", PASSWORD).unwrap();
    let by_url: MemcacheConfig = format!("memcache://app:{encoded}@{address}/").parse().unwrap();
    assert_eq!(built, by_url);
    works(&MemcacheProvider::connect(&built).await.unwrap()).await;
    let options = ConnectOptions::new(&format!("app:{encoded}@{address}"));
    works(&*session_core::connect("memcache", options).await.unwrap()).await;
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_missing_or_wrong_login_is_a_configuration_error_that_says_so() {
    let server = Memcached::start_with_login("app", PASSWORD).unwrap();
    let open = Memcached::start().unwrap();
    let (address, other) = (server.process().address(), open.process().address());
    for (config, why) in [
        (address.to_string(), "requires a login"),
        (format!("{other};{address}"), "requires a login"),
        (format!("app:hunter2@{address}"), "refused the login"),
        (format!("nobody:hunter2@{other};{address}"), "refused the login"),
    ] {
        let error = connect(&config).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, Some("connect")), "{error}");
        assert!(error.message().contains(why) && !error.message().contains("meta commands"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");

        // A service that started before the server required it gets the same error.
        let provider = MemcacheProvider::new(&format!("app:hunter2@{address}").parse().unwrap());
        assert_eq!(provider.read(&id(), IDLE).await.unwrap_err().kind(), ErrorKind::Config);
        let error = create(&provider, &id(), &session("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "nothing was written: {error}");
    }
}

/// It stores the login as an item, which must not remain.
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_without_a_login_does_not_keep_it() {
    let server = Memcached::start().unwrap();
    let address = server.process().address();
    works(&connect(&format!("app:hunter2@{address}")).await.unwrap()).await;
    assert_eq!(ask(address, "mg login v").unwrap(), ["EN"]);
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_that_restarts_is_logged_in_to_again() {
    let server = Memcached::start_with_login("app", "secret").unwrap();
    let provider = connect(&format!("app:secret@{}", server.process().address())).await.unwrap();
    for _ in 0..2 {
        works(&provider).await;
        server.process().restart().unwrap();
        // The runtime must notice that its idle connections are closed.
        sleep(Duration::from_millis(50)).await;
    }
    works(&provider).await;
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn a_server_on_a_unix_socket_is_used_alone_and_beside_others() {
    let server = Memcached::start_on_socket().unwrap();
    let socket = server.socket();
    for config in [socket.clone(), format!("unix:{socket}"), format!("memcache://{socket}?timeout=2s")] {
        works(&connect(&config).await.unwrap()).await;
    }
    let other = Memcached::start().unwrap();
    let both = connect(&format!("{socket};{}", other.process().address())).await.unwrap();
    for _ in 0..20 {
        works(&both).await;
    }
    assert!(other.stats().unwrap()["cmd_set"] > 0);

    let provider = connect(&socket).await.unwrap();
    server.process().kill().unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(provider.read(&id(), IDLE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let error = create(&provider, &id(), &session("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing is sent to a closed socket: {error:?}");
    server.process().restart().unwrap();
    works(&provider).await;
}
