//! What the suite must be given by the engine that it tests.

use std::fmt;
use std::sync::Arc;

use session_core::Provider;
use session_core::clock::ManualClock;
use session_core::id::StorageId;

/// One test's way to the engine. Each test makes its own harness, so that what it stores is its
/// own.
///
/// Only [`provider`](Self::provider) must be written; what the others say decides how much can be
/// proven.
#[crate::async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Connects to the storage of this test: a directory, table or key prefix that no other test
    /// uses. Called once. A shared storage will do, since every test draws its own ids; then
    /// [`isolated`](Self::isolated) is `false`.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// A second handle on the same storage, as another process would have: its own connections and
    /// caches. An engine that lives in one process returns `first`.
    async fn another(&self, first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::clone(first)
    }

    /// Whether no other test stores into the same place, so that `count` is exact.
    fn isolated(&self) -> bool {
        true
    }

    /// The clock that the provider was given, for engines that keep time by the core's clock.
    /// Without it the suite uses short lifetimes and waits.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// Puts these bytes where the engine keeps the record of `id`, to last a minute at least;
    /// `false` where that cannot be done (an engine that keeps records, not bytes).
    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let _ = (id, bytes);
        false
    }

    /// A handle on another place of the same server: another prefix, or another table. `None` for
    /// an engine that has no such thing. Sessions of one place are not to be seen, changed or
    /// collected in the other.
    async fn neighbour(&self) -> Option<Arc<dyn Provider>> {
        None
    }

    /// A handle on the same storage whose connection a test can cut while an answer is on its way,
    /// through a proxy for example. `None` for an engine without connections.
    async fn cut_off(&self) -> Option<CutOff> {
        None
    }
}

/// A handle on the storage whose answers can be lost; see [`Harness::cut_off`].
pub struct CutOff {
    provider: Arc<dyn Provider>,
    lose: Box<dyn Fn() + Send + Sync>,
}

impl CutOff {
    /// `lose` makes the server do what the next request asks for, and cuts the connection instead
    /// of passing its answer on. It keeps alive whatever that takes.
    pub fn new(provider: Arc<dyn Provider>, lose: impl Fn() + Send + Sync + 'static) -> Self {
        Self { provider, lose: Box::new(lose) }
    }

    /// The handle.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The answer to the next request is lost.
    pub fn lose_next_answer(&self) {
        (self.lose)();
    }
}

impl fmt::Debug for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CutOff").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Only its name: what an engine's harness holds is the engine's business.
impl fmt::Debug for dyn Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Harness")
    }
}
