//! The handle to the collection of expired sessions.

use std::sync::{Arc, Weak};

use tokio::task::AbortHandle;

use super::Manager;
use crate::commit;
use crate::shared::Shared;

/// The running collection. It stops on [`stop`](Self::stop), and when the last handle to its
/// manager is dropped; dropping this handle alone does not stop it.
pub struct GcTask {
    task: AbortHandle,
    shared: Weak<Shared>,
}

impl GcTask {
    /// Stops collecting immediately. The manager does not start it again by itself.
    pub fn stop(self) {
        if let Some(shared) = self.shared.upgrade() {
            commit::stop_collecting(&shared);
        }
        self.task.abort();
    }

    /// Returns whether the collection has stopped.
    pub fn is_stopped(&self) -> bool {
        self.task.is_finished()
    }
}

impl std::fmt::Debug for GcTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GcTask").field(&self.task).finish()
    }
}

impl Manager {
    /// Starts the task that removes expired sessions about every
    /// [`gc_interval`](crate::ManagerBuilder::gc_interval). The interval varies by a tenth, so that
    /// the processes of a service do not collect at the same time. Must be called on a tokio
    /// runtime.
    ///
    /// The first request starts it as well; call this to get its handle, or to collect without any
    /// request (every minute if the interval is `None`). Engines whose storage expires by itself
    /// need no collection; for them the task ends immediately.
    #[doc(alias = "GC")]
    pub fn spawn_gc(&self) -> GcTask {
        GcTask { task: commit::ensure_collecting(&self.0), shared: Arc::downgrade(&self.0) }
    }

    /// Removes expired sessions now, in batches, and returns their number.
    ///
    /// The cost depends on the number of expired sessions, not on the number of stored ones. A
    /// batch that exceeds the operation timeout is retried with a smaller size.
    pub async fn collect(&self) -> crate::Result<usize> {
        commit::collect(&Arc::downgrade(&self.0)).await
    }
}
