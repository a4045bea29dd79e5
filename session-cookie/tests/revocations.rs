//! The list of revocations: how it is set up, what it costs, and what happens while it cannot be reached.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_conformance::layers::{Fault, Faulty};
use session_cookie::{CookieBuilder, CookieProvider};
use session_core::{ConnectOptions, ErrorKind, Manager, Provider, Secret, connect};
use session_memory::MemoryProvider;

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn checklist_27_while_the_list_cannot_be_reached_no_cookie_is_believed() {
    let (list, faulty) = Faulty::on(Arc::new(MemoryProvider::new()));
    let provider = CookieProvider::builder().key(Secret::new(KEY)).revocations(list).build().unwrap();
    let manager = Manager::builder(provider).build().unwrap();
    let session = manager.create();
    session.set("user", "ada").unwrap();
    session.release().await.unwrap();
    let token = session.token().unwrap();
    faulty.down(Fault::Refused);
    assert_eq!(manager.load(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(manager.destroy(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(faulty.heal());
    assert!(manager.load(&token).await.unwrap().is_some(), "what failed has ended nothing");
}

#[tokio::test]
async fn only_what_was_ended_is_on_the_list_and_until_its_absolute_deadline() {
    let clock = session_core::ManualClock::default();
    let list = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let list: Arc<dyn Provider> = Arc::new(list);
    let builder = CookieProvider::builder().key(Secret::new(KEY)).revocations(Arc::clone(&list));
    let provider = builder.clock(Arc::new(clock.clone())).build().unwrap();
    let absolute = Duration::from_secs(7_200);
    let manager = Manager::builder(provider).clock(clock.clone()).absolute_timeout(absolute).build().unwrap();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let session = manager.create();
        session.set("user", "ada").unwrap();
        session.release().await.unwrap();
        tokens.push(session.token().unwrap());
    }
    assert_eq!(list.count().await.unwrap(), Some(0));
    assert!(manager.destroy(&tokens[0]).await.unwrap());
    assert!(manager.regenerate(&tokens[1]).await.unwrap().is_some());
    assert_eq!(list.count().await.unwrap(), Some(2));
    clock.advance(absolute);
    assert_eq!(manager.collect().await.unwrap(), 2);
    assert_eq!(list.count().await.unwrap(), Some(0));
}

#[tokio::test]
async fn the_config_string_names_the_engine_that_holds_the_list() {
    let config = |list: &str| format!(r#"{{"securityKey":"{KEY}","revocations":{list}}}"#);
    let there = |list: &str| {
        let config = config(list);
        async move { connect("cookie", ConnectOptions::new(&config)).await }
    };
    let provider = there(r#"{"provider":"memory"}"#).await.unwrap();
    assert!(provider.capabilities().revokes && !provider.capabilities().native_expiry);
    for (list, names) in [
        (r#"{"provider":"nosuch"}"#, "nosuch"),
        (r#"{"provider":"memory","providerConfig":"nonsense"}"#, "memory"),
        (r#"{"engine":"memory"}"#, "unknown field"),
        (&config("null").replace("null", r#"{"provider":"memory"}"#), "unknown field"),
        (&format!(r#"{{"provider":"cookie","providerConfig":"{{\"securityKey\":\"{KEY}\"}}"}}"#), "server"),
    ] {
        let error = there(list).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{list}");
        assert!(error.to_string().contains(names) && !error.to_string().contains(KEY), "{list}: {error}");
    }
    let unconnected = CookieBuilder::from_json(&config(r#"{"provider":"memory"}"#)).unwrap().build();
    assert!(unconnected.unwrap_err().message().contains("connected"));
}
