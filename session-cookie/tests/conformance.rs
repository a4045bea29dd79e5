//! The behaviours that every engine shows that leaves the record with the client.

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_cookie::CookieProvider;
use session_core::{ManualClock, Provider, Secret};

/// Nothing is stored anywhere, so that a test needs nothing but a clock.
#[derive(Default)]
struct Cookie(ManualClock);

#[async_trait]
impl Harness for Cookie {
    async fn provider(&self) -> Arc<dyn Provider> {
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let provider = CookieProvider::builder().key(key).clock(Arc::new(self.0.clone())).build();
        Arc::new(provider.expect("a sound configuration"))
    }

    /// Another process that has the same key.
    async fn another(&self, _: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.provider().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.0.clone())
    }
}

session_conformance::suite!(client_side: Cookie::default());
