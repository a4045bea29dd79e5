//! Shared by the tests of requests: cookies in and out, and engines that are slow or hang.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test binary uses a part, and a failure fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use session_conformance::layers::{Around, Call, Layer, Method};
use session_core::adapter::{Reply, RequestSession};
use session_core::clock::ManualClock;
use session_core::id::Token;
use session_core::transport::{Connection, Incoming};
use session_core::{Manager, ManagerBuilder, Provider, Result};
use session_memory::MemoryProvider;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(24 * 3_600);

pub fn memory(clock: &ManualClock) -> Arc<dyn Provider> {
    Arc::new(MemoryProvider::builder().clock(Arc::new(clock.clone())).build().unwrap())
}

pub fn builder(clock: &ManualClock) -> ManagerBuilder {
    Manager::builder_shared(memory(clock)).clock(clock.clone())
}

pub async fn begin(manager: &Manager) -> Token {
    let session = manager.create();
    session.set("n", &0_u64).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

pub fn presenting(manager: &Manager, tokens: &[&Token]) -> RequestSession {
    let cookies: Vec<_> = tokens.iter().map(|token| format!("__Host-session={}", token.expose())).collect();
    manager.request(Incoming { cookies: &[cookies.join("; ").as_bytes()], ..Incoming::default() })
}

pub async fn finish(request: &RequestSession) -> Result<Reply> {
    request.finish(Connection::default()).await
}

/// The token of the only cookie that a reply sets; empty if it removes the cookie.
pub fn cookie(reply: &Reply) -> Option<String> {
    assert!(reply.headers.len() <= 1, "{reply:?}");
    let (name, value) = reply.headers.first()?;
    assert_eq!(name, "set-cookie");
    let value = value.split(';').next().unwrap().strip_prefix("__Host-session=").unwrap();
    Some(value.to_owned())
}

/// A reading request renews a due id; returns the old and the new token.
pub async fn renewed(manager: &Manager, clock: &ManualClock, every: Duration) -> [Token; 2] {
    let old = begin(manager).await;
    clock.advance(every);
    let new = renew(manager, &old).await;
    [old, new]
}

pub async fn renew(manager: &Manager, old: &Token) -> Token {
    let request = presenting(manager, &[old]);
    request.session().await.unwrap();
    let new = cookie(&finish(&request).await.unwrap()).expect("renewed");
    Token::new(&new).unwrap()
}

/// An engine whose calls take a few polls.
#[derive(Debug)]
pub struct Lazy;

#[session_conformance::async_trait]
impl Around for Lazy {
    type Memo = ();
    async fn before(&self, _: &Call) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    }
}

/// An engine with one method that can be made to hang.
#[derive(Debug, Default)]
pub struct Hangs(pub std::sync::Mutex<Option<Method>>);

#[session_conformance::async_trait]
impl Around for Hangs {
    type Memo = ();
    async fn before(&self, call: &Call) -> Result<()> {
        let method = *self.0.lock().unwrap();
        if Some(call.method) == method {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

pub fn hanging(method: impl Into<Option<Method>>) -> (Manager, Arc<Hangs>) {
    let clock = ManualClock::default();
    let hangs = Arc::new(Hangs(std::sync::Mutex::new(method.into())));
    let provider = Layer::over(memory(&clock), &hangs);
    (Manager::builder_shared(provider).clock(clock).build().unwrap(), hangs)
}

pub async fn timed(work: impl Future) -> Duration {
    let begun = tokio::time::Instant::now();
    work.await;
    begun.elapsed()
}

#[derive(Debug)]
pub struct Yields;

#[session_conformance::async_trait]
impl Around for Yields {
    type Memo = ();
    async fn before(&self, _: &Call) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }
}
