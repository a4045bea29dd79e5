//! Configurations that do not connect, and servers that are not there.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Provider};

use crate::records::{MINUTE, id};
use crate::{Engine, Mistake, Server, with};

pub async fn connecting_says_at_once_what_is_wrong<E: Engine>() {
    let server = E::Server::start_with(&[]);
    let right = server.url();
    let connect = async |config: String| {
        let error = E::connect(&config).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        (error.kind(), error.to_string())
    };
    for Mistake { config, kind, says } in E::mistakes(&server) {
        let (found, text) = connect(config.clone()).await;
        assert_eq!(found, kind, "{config}: {text}");
        assert!(text.contains(says), "{config}: {text}");
    }
    server.process().pause().unwrap();
    let begun = Instant::now();
    let (kind, text) = connect(with(&right, &["connect_timeout=300ms"])).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("no connection") && begun.elapsed() < Duration::from_secs(2), "{text}");
    server.process().kill().unwrap();

    let lazy = E::connect_lazy(&right);
    assert_eq!(lazy.read(&id("a"), MINUTE).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.process().restart().unwrap();
    E::migrate(&lazy).await.unwrap();
    assert!(lazy.read(&id("a"), MINUTE).await.unwrap().is_none(), "a service may start before its server");
}
