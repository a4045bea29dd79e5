//! Hit rate, staleness and the state of the bus in the metrics.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use session_cache::{Bus, Cached, Settings};
use session_core::Provider;
use session_core::clock::ManualClock;
use session_core::engine::Notice;
use session_memory::MemoryProvider;
use support::{Apart, Hand, IDLE, Source, stored, until, until_bus};

/// Keeps the recorded values; a gauge as the bits of its value.
#[derive(Default, Clone)]
struct Kept(Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>, Arc<Ages>);

#[derive(Default)]
struct Ages(Mutex<Vec<f64>>);

impl HistogramFn for Ages {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Kept {
    fn number(&self, name: &str) -> Arc<AtomicU64> {
        Arc::clone(self.0.lock().unwrap().entry(name.to_owned()).or_default())
    }

    fn count(&self, name: &str) -> u64 {
        self.number(name).load(Ordering::SeqCst)
    }

    fn is_up(&self) -> bool {
        f64::from_bits(self.count("session_cache_bus_up")) > 0.5
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key.name()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key.name()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        assert_eq!(key.name(), "session_cache_age_seconds");
        Histogram::from_arc(Arc::clone(&self.1))
    }
}

#[tokio::test]
async fn hits_misses_ages_and_the_bus_are_recorded() {
    let kept = Kept::default();
    metrics::set_global_recorder(kept.clone()).unwrap();
    let (bus, clock) = (Hand::default(), ManualClock::default());
    let apart = Apart::new(Arc::new(MemoryProvider::new()), Source::Hand(bus.clone()));
    let here = Cached::new(apart, Settings::new().clock(clock.clone())).unwrap();
    assert!(!kept.is_up());
    bus.up();
    until_bus(&here, Bus::Connected).await;
    until("the gauge", async || kept.is_up()).await;

    let (id, _) = stored(&here).await;
    for _ in 0..3 {
        assert!(here.read(&id, IDLE).await.unwrap().is_some());
        clock.advance(Duration::from_millis(250));
    }
    assert_eq!((kept.count("session_cache_miss"), kept.count("session_cache_hit")), (1, 2));
    assert_eq!(*kept.1.0.lock().unwrap(), [0.25, 0.5]);

    bus.send(Notice::Changed(id)).await;
    assert_eq!(kept.count("session_cache_notice"), 1);
    assert_eq!(kept.count("session_cache_bus_lost"), 0);
    bus.down();
    until_bus(&here, Bus::Lost).await;
    until("the loss is counted", async || kept.count("session_cache_bus_lost") == 1).await;
    assert!(!kept.is_up());
}
