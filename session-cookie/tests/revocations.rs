//! The list of revocations: its configuration, its cost, and requests while it is unreachable.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::sync::Arc;
use std::time::Duration;

use session_conformance::layers::{Fault, Faulty};
use session_cookie::{CookieBuilder, CookieProvider};
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::{ConnectOptions, ErrorKind, Manager, Provider, Secret, connect};
use session_file::FileProvider;
use session_memory::{Eviction, MemoryProvider};
use tempfile::TempDir;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// One process's list in this directory.
async fn list(directory: &TempDir, clock: &ManualClock) -> Arc<dyn Provider> {
    let builder = FileProvider::builder(directory.path()).clock(Arc::new(clock.clone()));
    Arc::new(builder.connect().await.unwrap())
}

async fn begin(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("user", "ada").unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

#[tokio::test]
async fn a_logout_survives_a_restart() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let start = async || {
        let builder = CookieProvider::builder().key(Secret::new(KEY)).clock(Arc::new(clock.clone()));
        let provider = builder.revocations(list(&directory, &clock).await).build().unwrap();
        Manager::builder(provider).clock(clock.clone()).build().unwrap()
    };
    let before = start().await;
    let (ended, renamed, other) = (begin(&before).await, begin(&before).await, begin(&before).await);
    assert!(before.destroy(&ended).await.unwrap());
    let new = before.regenerate(&renamed).await.unwrap().unwrap();
    drop(before);
    let after = start().await;
    for dead in [&ended, &renamed] {
        assert!(after.load(dead).await.unwrap().is_none());
    }
    for alive in [&new, &other] {
        assert!(after.load(alive).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_engine_that_forgets_or_evicts_is_refused() {
    let bounded = || MemoryProvider::builder().max_sessions(9);
    for (engine, evicts) in [
        (MemoryProvider::new(), false),
        (bounded().build().unwrap(), false),
        (bounded().eviction(Eviction::AnonymousFirst).build().unwrap(), true),
    ] {
        assert_eq!(engine.capabilities().evicts, evicts);
        let error = CookieProvider::builder().key(Secret::new(KEY)).revocations(Arc::new(engine)).build();
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("forgets it when it restarts"), "{error}");
        assert!(error.message().contains("file, redis or a database"), "{error}");
    }
    // An engine on a server that may evict when it is full.
    let evicting = Arc::new(Evicting(list(&tempfile::tempdir().unwrap(), &ManualClock::default()).await));
    let error = CookieProvider::builder().key(Secret::new(KEY)).revocations(evicting).build().unwrap_err();
    assert!(error.message().contains("may evict it"), "{error}");
}

/// A provider that declares that it evicts.
#[derive(Debug)]
struct Evicting(Arc<dyn Provider>);

#[session_conformance::async_trait]
impl Provider for Evicting {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    fn capabilities(&self) -> session_core::Capabilities {
        self.0.capabilities().evicts(true)
    }

    async fn read(
        &self,
        id: &session_core::id::StorageId,
        idle: Duration,
    ) -> session_core::Result<Option<session_core::record::Record>> {
        self.0.read(id, idle).await
    }

    async fn write(
        &self,
        id: &session_core::id::StorageId,
        record: &session_core::record::Record,
        condition: session_core::engine::Condition,
        ttl: Duration,
    ) -> session_core::Result<session_core::engine::WriteOutcome> {
        self.0.write(id, record, condition, ttl).await
    }

    async fn destroy(
        &self,
        id: &session_core::id::StorageId,
        expected: Option<session_core::record::Stamp>,
    ) -> session_core::Result<session_core::engine::DestroyOutcome> {
        self.0.destroy(id, expected).await
    }

    async fn exists(&self, id: &session_core::id::StorageId) -> session_core::Result<bool> {
        self.0.exists(id).await
    }

    async fn count(&self) -> session_core::Result<Option<u64>> {
        self.0.count().await
    }

    async fn gc(&self, limit: usize) -> session_core::Result<usize> {
        self.0.gc(limit).await
    }
}

#[tokio::test]
async fn no_cookie_is_accepted_while_the_list_is_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let (list, faulty) = Faulty::on(list(&directory, &ManualClock::default()).await);
    let provider = CookieProvider::builder().key(Secret::new(KEY)).revocations(list).build().unwrap();
    let manager = Manager::builder(provider).build().unwrap();
    let token = begin(&manager).await;
    faulty.down(Fault::Refused);
    assert_eq!(manager.load(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(manager.destroy(&token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(faulty.heal());
    assert!(manager.load(&token).await.unwrap().is_some(), "what failed has ended nothing");
}

#[tokio::test]
async fn only_ended_sessions_are_on_the_list_until_their_absolute_deadlines() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let list = list(&directory, &clock).await;
    let builder = CookieProvider::builder().key(Secret::new(KEY)).revocations(Arc::clone(&list));
    let provider = builder.clock(Arc::new(clock.clone())).build().unwrap();
    let absolute = Duration::from_secs(7_200);
    let manager = Manager::builder(provider).clock(clock.clone()).absolute_timeout(absolute).build().unwrap();
    let tokens = [begin(&manager).await, begin(&manager).await, begin(&manager).await];
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
    let directory = tempfile::tempdir().unwrap();
    let list = format!(r#"{{"provider":"file","providerConfig":"{}"}}"#, directory.path().display());
    let provider = there(&list).await.unwrap();
    assert!(provider.capabilities().revokes && !provider.capabilities().native_expiry);
    for (list, names) in [
        (r#"{"provider":"nosuch"}"#, "nosuch"),
        (r#"{"provider":"memory","providerConfig":"nonsense"}"#, "memory"),
        (r#"{"provider":"memory"}"#, "forgets it"),
        (r#"{"engine":"memory"}"#, "unknown field"),
        (&config("null").replace("null", r#"{"provider":"memory"}"#), "unknown field"),
        (&format!(r#"{{"provider":"cookie","providerConfig":"{{\"securityKey\":\"{KEY}\"}}"}}"#), "client"),
    ] {
        let error = there(list).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{list}");
        assert!(error.to_string().contains(names) && !error.to_string().contains(KEY), "{list}: {error}");
    }
    let unconnected = CookieBuilder::from_json(&config(r#"{"provider":"memory"}"#)).unwrap().build();
    assert!(unconnected.unwrap_err().message().contains("connected"));
}

#[tokio::test]
async fn a_token_is_opened_without_a_future_only_if_there_is_no_list() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let builder = || CookieProvider::builder().key(Secret::new(KEY)).clock(Arc::new(clock.clone()));
    let with_a_list = builder().revocations(list(&directory, &clock).await).build().unwrap();
    assert!(with_a_list.as_immediate().is_none());

    let alone = Arc::new(builder().build().unwrap());
    let manager = Manager::builder_shared(Arc::clone(&alone) as _).clock(clock.clone()).build().unwrap();
    let id = session_core::id::StorageId::plain(begin(&manager).await.expose()).unwrap();
    let minute = Duration::from_secs(60);
    let at_once = alone.as_immediate().unwrap().read_at_once(&id, minute).unwrap().unwrap();
    assert!(at_once.is_some());
    assert_eq!(at_once, alone.read(&id, minute).await.unwrap());
}
