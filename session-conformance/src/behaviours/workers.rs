//! No call of an engine blocks a thread of the async runtime.

use std::future::poll_fn;
use std::pin::pin;

use session_core::engine::{Condition, Rename};

use super::renaming::tombstone;
use crate::{Context, LONG};

/// The number of voluntary context switches of this thread, counted by Linux; `None` elsewhere.
fn sleeps() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// Returns whether the thread slept during a poll of this future. An idle worker also sleeps, but
/// between polls.
async fn slept<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    let mut slept = false;
    poll_fn(|context| {
        let before = sleeps();
        let poll = future.as_mut().poll(context).map(drop);
        slept |= sleeps() > before;
        poll
    })
    .await;
    slept
}

/// Enough for a busy machine, where a briefly held lock or a page fault may disturb some of them.
const TRIES: usize = 30;

/// No method waits during a poll for a socket, a file lock, a disk or a timer. Each is tried thirty
/// times and must not sleep at least once, so only a call that always sleeps is detected. Long
/// computations and reads of cached files are not detected, since they do not put the thread to
/// sleep. Counted by the kernel on Linux; other systems test nothing here.
pub async fn no_call_sleeps_on_its_worker(context: Context) {
    if sleeps().is_none() {
        return;
    }
    for method in ["read", "create", "replace", "touch", "rename", "destroy", "exists", "count", "gc"] {
        let mut always = true;
        for _ in 0..TRIES {
            if !sleeps_in(&context, method).await {
                always = false;
                break;
            }
        }
        assert!(!always, "{method} sleeps on a thread of the runtime");
    }
}

async fn sleeps_in(context: &Context, method: &str) -> bool {
    let provider = context.provider();
    let (id, record) = context.stored("value", LONG).await;
    let next = context.next(&record, "next", LONG);
    match method {
        "read" => slept(provider.read(&id, LONG)).await,
        "create" => slept(provider.write(&context.id(), &next, Condition::Absent, LONG)).await,
        "replace" => slept(provider.write(&id, &next, Condition::Over(record.stamp()), LONG)).await,
        "touch" => slept(provider.touch(&id, &record, LONG)).await,
        "rename" => {
            let new = context.id();
            let tombstone = tombstone(context, &record, &new);
            let rename = Rename::new((&id, record.stamp()), (&new, &next, LONG), &tombstone);
            slept(provider.rename(&rename)).await
        }
        "destroy" => slept(provider.destroy(&id, None)).await,
        "exists" => slept(provider.exists(&id)).await,
        "count" => slept(provider.count()).await,
        _ => slept(provider.gc(10)).await,
    }
}
