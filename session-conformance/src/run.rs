//! Runs one behaviour.

use std::time::Duration;

use crate::{Context, Harness};

/// The timeout of a behaviour.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a behaviour against a harness on a runtime with two workers; panics if the engine does not
/// conform.
///
/// [`suite!`](crate::suite) calls it in each of its tests.
pub fn run<H, F>(harness: impl FnOnce() -> H, behaviour: fn(Context) -> F)
where
    H: Harness,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let behaviour = async { behaviour(Context::new(harness()).await).await };
        tokio::time::timeout(PATIENCE, behaviour).await.expect("the behaviour ends within two minutes");
    });
    // Hanging tasks are not waited for.
    runtime.shutdown_background();
}
