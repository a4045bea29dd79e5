//! The conformance tests over a cache with a bus: notices of this process's own changes make no
//! read stale. Also, histories with a bus that is cut repeatedly.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use session_cache::Bus;
use session_conformance::{Harness, async_trait};
use session_core::Provider;
use session_servers::compose;
use session_servers::proxy::Proxy;
use support::{Engine, Location, cached, until_bus};

/// Shorter than the lifetimes that the suite waits for.
const MAX_STALE: Duration = Duration::from_millis(100);

/// A separate table or prefix for each test, behind a cache with a bus.
struct WithBus(Location);

impl WithBus {
    fn new(engine: Engine) -> Self {
        Self(engine.location())
    }
}

#[async_trait]
impl Harness for WithBus {
    async fn provider(&self) -> Arc<dyn Provider> {
        let cached = cached(self.0.connect().await, MAX_STALE);
        until_bus(&cached, Bus::Connected).await;
        Arc::new(cached)
    }
}

/// The same, with a bus that is cut repeatedly.
struct Cut {
    location: Location,
    scissors: Mutex<Option<Scissors>>,
}

impl Cut {
    fn new(engine: Engine) -> Self {
        Self { location: engine.location(), scissors: Mutex::default() }
    }
}

#[async_trait]
impl Harness for Cut {
    async fn provider(&self) -> Arc<dyn Provider> {
        let (apart, proxy) = self.location.connect_apart().await;
        let cached = cached(apart, MAX_STALE);
        until_bus(&cached, Bus::Connected).await;
        *self.scissors.lock().unwrap() = Some(Scissors::new(proxy));
        Arc::new(cached)
    }
}

/// Cuts the connections through a proxy repeatedly, until dropped.
struct Scissors {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scissors {
    fn new(proxy: Proxy) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let cut = move || {
            while !is_done.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(150));
                proxy.cut();
            }
        };
        Self { done, thread: Some(thread::spawn(cut)) }
    }
}

impl Drop for Scissors {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

macro_rules! engine {
    ($name:ident, $engine:expr) => {
        mod $name {
            use super::*;

            session_conformance::suite!(
                #[ignore = "needs a server: cargo xtask test"]
                WithBus::new($engine)
            );
            session_conformance::histories!(
                #[ignore = "needs a server: cargo xtask test"]
                WithBus::new($engine)
            );

            mod cut {
                use super::*;

                session_conformance::histories!(
                    #[ignore = "needs a server: cargo xtask test"]
                    Cut::new($engine)
                );
            }
        }
    };
}

engine!(postgres, Engine::Postgres);
engine!(redis, Engine::Redis(compose::REDIS));
