//! What the suite must be given by the engine that it tests.

use std::fmt;
use std::sync::Arc;

use session_core::{ManualClock, Provider, StorageId};

/// One test's way to the engine. Each test makes its own harness, so that what it stores is its own.
///
/// Only [`provider`](Self::provider) must be written; what the others say decides how much can be proven.
#[crate::async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Connects to the storage of this test: a directory, table or key prefix that no other test uses. Called
    /// once. A shared storage will do, since every test draws its own ids; then [`isolated`](Self::isolated) is `false`.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// A second handle on the same storage, as another process would have: its own connections and caches.
    /// An engine that lives in one process returns `first`.
    async fn another(&self, first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::clone(first)
    }

    /// Whether no other test stores into the same place, so that `count` is exact.
    fn isolated(&self) -> bool {
        true
    }

    /// The clock that the provider was given, for engines that keep time by the core's clock. Without it the
    /// suite uses short lifetimes and waits.
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// Puts these bytes where the engine keeps the record of `id`, to last a minute at least; `false` where that cannot be
    /// done (an engine that keeps records, not bytes).
    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let _ = (id, bytes);
        false
    }
}

/// Only its name: what an engine's harness holds is the engine's business.
impl fmt::Debug for dyn Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Harness")
    }
}
