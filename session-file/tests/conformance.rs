//! What every engine must show, shown by this one.

#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

use std::fs;
use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_core::Provider;
use session_core::clock::ManualClock;
use session_core::id::StorageId;
use session_file::FileProvider;
use tempfile::TempDir;

/// A directory of its own for each test, on a clock that the test turns.
struct Files {
    directory: TempDir,
    clock: ManualClock,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: ManualClock::default() }
    }

    async fn connect(&self) -> Arc<dyn Provider> {
        let builder = FileProvider::builder(self.directory.path());
        Arc::new(builder.clock(Arc::new(self.clock.clone())).connect().await.unwrap())
    }
}

#[async_trait]
impl Harness for Files {
    async fn provider(&self) -> Arc<dyn Provider> {
        self.connect().await
    }

    async fn another(&self, _first: &Arc<dyn Provider>) -> Arc<dyn Provider> {
        self.connect().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    async fn put_raw(&self, id: &StorageId, bytes: Vec<u8>) -> bool {
        let name = id.to_text();
        let leaf = self.directory.path().join(&name[..1]).join(&name[1..2]);
        fs::create_dir_all(&leaf).unwrap();
        fs::write(leaf.join(name), bytes).unwrap();
        true
    }
}

session_conformance::suite!(Files::new());
session_conformance::histories!(Files::new());
