//! The conformance tests for client-side engines.

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_cookie::CookieProvider;
use session_core::clock::{Clock, ManualClock};
use session_core::{Provider, Secret};
use session_file::FileProvider;
use tempfile::TempDir;

/// Nothing is stored, so a test needs only a clock, and for some a list of revocations in a
/// directory.
struct Cookie {
    clock: ManualClock,
    revocations: Option<TempDir>,
}

impl Cookie {
    fn alone() -> Self {
        Self { clock: ManualClock::default(), revocations: None }
    }

    fn with_revocations() -> Self {
        Self { revocations: Some(tempfile::tempdir().expect("a directory")), ..Self::alone() }
    }
}

#[async_trait]
impl Harness for Cookie {
    async fn provider(&self) -> Arc<dyn Provider> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let mut builder = CookieProvider::builder().key(key).clock(Arc::clone(&clock));
        if let Some(directory) = &self.revocations {
            let list = FileProvider::builder(directory.path()).clock(clock).connect().await;
            builder = builder.revocations(Arc::new(list.expect("a directory for the list")));
        }
        Arc::new(builder.build().expect("a sound configuration"))
    }

    /// Another process with the same key.
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
