//! The interface between the suite and the tested engine.

use std::fmt;
use std::sync::Arc;

use session_core::Provider;
use session_core::clock::ManualClock;
use session_core::id::StorageId;

/// One test's access to the engine. Each test creates its own harness, with its own storage.
///
/// Only [`provider`](Self::provider) is required; the other methods enable further tests.
#[crate::async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Connects to the storage of this test: a directory, table or key prefix that no other test
    /// uses. Called once. A shared storage is sufficient, since every test generates its own ids;
    /// then [`isolated`](Self::isolated) is `false`.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// A second handle on the same storage, like that of another process, with its own connections
    /// and caches. An engine for a single process returns `first`.
    async fn another(&self, first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::clone(first)
    }

    /// Whether no other test uses the same storage, so that `count` is exact.
    fn isolated(&self) -> bool {
        true
    }

    /// The provider's clock, for engines that use the core's clock. Without it the suite uses short
    /// lifetimes and waits.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// Stores these bytes as the record of `id`, for at least a minute; `false` if that is
    /// impossible (an engine that stores records, not bytes).
    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let _ = (id, bytes);
        false
    }

    /// A handle on another namespace of the same server: another prefix or table. `None` for an
    /// engine without namespaces. Sessions of one must not be visible, changed or collected in the
    /// other.
    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        None
    }

    /// A handle on the same storage whose connection a test can break before a response arrives,
    /// for example through a proxy. `None` for an engine without connections.
    async fn cut_off(&self) -> Option<CutOff> {
        None
    }
}

/// A handle on the storage whose responses can be lost; see [`Harness::cut_off`].
pub struct CutOff {
    provider: Arc<dyn Provider>,
    lose: Box<dyn Fn() + Send + Sync>,
}

impl CutOff {
    /// `lose` lets the server execute the next request, and breaks the connection instead of
    /// forwarding its response. The closure owns everything it needs.
    pub fn new(provider: Arc<dyn Provider>, lose: impl Fn() + Send + Sync + 'static) -> Self {
        Self { provider, lose: Box::new(lose) }
    }

    /// The handle.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// Loses the response to the next request.
    pub fn lose_next_answer(&self) {
        (self.lose)();
    }
}

impl fmt::Debug for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CutOff").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Only the name: the contents of a harness are private to the engine.
impl fmt::Debug for dyn Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Harness")
    }
}
