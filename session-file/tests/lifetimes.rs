//! Lifetimes and timeouts of any length: none is a panic, and none reaches past the absolute deadline.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

mod common;

use std::time::Duration;

use common::{DAY, id, on_clock, record};
use session_core::Provider as _;
use session_core::clock::{ManualClock, Timestamp};
use session_core::engine::Condition;
use session_file::FileProvider;

const YEAR_9999: u64 = 253_402_300_799;

#[tokio::test]
async fn no_lifetime_is_a_panic_or_longer_than_the_absolute_one() {
    let directory = tempfile::tempdir().unwrap();
    for now in [0, i32::MAX.unsigned_abs().into(), u32::MAX.into(), YEAR_9999, u64::MAX / 1_000] {
        let now = Timestamp::from_millis(now.saturating_mul(1_000));
        let clock = ManualClock::new(now);
        let builder = FileProvider::builder(directory.path()).lock_timeout(Duration::MAX);
        let provider = on_clock(builder, &clock).await;
        for lifetime in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(YEAR_9999), Duration::MAX]
        {
            let mut first = record(1);
            first.header.absolute = now.after(DAY);
            provider.write(&id("xs"), &first, Condition::Absent, lifetime).await.unwrap();
            if let Some(read) = provider.read(&id("xs"), lifetime).await.unwrap() {
                assert!(read.header.deadline <= read.header.absolute);
                assert!(provider.touch(&id("xs"), &read, lifetime).await.unwrap());
                let touched = provider.read(&id("xs"), lifetime).await.unwrap();
                assert!(touched.is_none_or(|touched| touched.header.deadline <= touched.header.absolute));
            }
            provider.destroy(&id("xs"), None).await.unwrap();
            provider.gc(10).await.unwrap();
            provider.count().await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_any_patience_a_lock_that_is_free_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let builder = FileProvider::builder(directory.path()).lock_timeout(Duration::ZERO);
    let provider = builder.connect().await.unwrap();
    provider.write(&id("xs"), &record(1), Condition::Absent, DAY).await.unwrap();
    provider.destroy(&id("xs"), None).await.unwrap();
}
