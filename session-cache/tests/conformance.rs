//! The conformance tests over a cache: within one process, reads are never stale.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

use std::sync::Arc;

use session_cache::{Cached, Settings};
use session_conformance::{Harness, async_trait};
use session_core::Provider;
use session_core::clock::ManualClock;
use session_memory::MemoryProvider;

/// A separate store for each test, with a clock that the test controls.
#[derive(Default)]
struct Memory {
    clock: ManualClock,
}

#[async_trait]
impl Harness for Memory {
    async fn provider(&self) -> Arc<dyn Provider> {
        let engine = MemoryProvider::builder().clock(Arc::new(self.clock.clone())).build().unwrap();
        Arc::new(Cached::new(engine, Settings::new().clock(self.clock.clone())).unwrap())
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

session_conformance::suite!(Memory::default());
session_conformance::histories!(Memory::default());
