//! The behaviours that every engine shows that leaves the record with the client.

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_cookie::CookieProvider;
use session_core::{ManualClock, Provider, Secret};
use session_memory::MemoryProvider;

/// Nothing is stored anywhere, so that a test needs nothing but a clock; and perhaps a list of revocations.
struct Cookie {
    clock: ManualClock,
    revocations: Option<Arc<dyn Provider>>,
}

impl Cookie {
    fn alone() -> Self {
        Self { clock: ManualClock::default(), revocations: None }
    }

    fn with_revocations() -> Self {
        let clock = ManualClock::default();
        let list = MemoryProvider::builder().clock(Arc::new(clock.clone())).build();
        Self { clock, revocations: Some(Arc::new(list.expect("a store"))) }
    }
}

#[async_trait]
impl Harness for Cookie {
    async fn provider(&self) -> Arc<dyn Provider> {
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let mut builder = CookieProvider::builder().key(key).clock(Arc::new(self.clock.clone()));
        if let Some(list) = &self.revocations {
            builder = builder.revocations(Arc::clone(list));
        }
        Arc::new(builder.build().expect("a sound configuration"))
    }

    /// Another process that has the same key.
    async fn another(&self, _: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.provider().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

mod alone {
    session_conformance::suite!(client_side: crate::Cookie::alone());
}

mod with_revocations {
    session_conformance::suite!(client_side: crate::Cookie::with_revocations());
}
