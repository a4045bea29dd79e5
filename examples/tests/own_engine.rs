//! The whole suite, on the engine of the example.
#![allow(missing_docs)]

use std::sync::Arc;

use session_conformance::{Harness, async_trait};
use session_examples::own_engine::MapProvider;
use session_kit::Provider;
use session_kit::clock::ManualClock;

#[derive(Default)]
struct Map {
    clock: ManualClock,
}

#[async_trait]
impl Harness for Map {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(MapProvider::new(self.clock.clone()))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

session_conformance::suite!(Map::default());

#[test]
fn the_guide_shows_this_engine() {
    let guide = include_str!("../../docs/guide/own-engine.md");
    assert!(
        guide.contains(include_str!("../src/own_engine.rs")),
        "docs/guide/own-engine.md has another version of it"
    );
}
