//! An engine without its own rename.

use std::sync::Arc;
use std::time::Duration;

use session_core::engine::{Condition, DestroyOutcome, Indexed, Scan, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp};
use session_core::{Capabilities, Provider, Result};

/// Hides an engine's own `rename`, so that the default one runs, which consists of conditional
/// writes that pass the layers below.
#[derive(Debug)]
pub struct ByWrites(pub Arc<dyn Provider>);

#[crate::async_trait]
impl Provider for ByWrites {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn bind(&self, scope: &str) -> Result<()> {
        self.0.bind(scope)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.0.read(id, idle).await
    }

    async fn read_now(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        self.0.read_now(id, idle).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        self.0.write(id, record, condition, ttl).await
    }

    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        self.0.touch(id, seen, ttl).await
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        self.0.destroy(id, expected).await
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.0.exists(id).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        self.0.count().await
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        self.0.gc(limit).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        self.0.as_indexed()
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.0.as_scan()
    }
}
