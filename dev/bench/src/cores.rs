//! Pins clients to the first core, servers to the others.
//!
//! Otherwise the system sometimes puts a client and its server on one core, where a round trip
//! takes a third of the time: a row would then compare placement instead of libraries.

use std::sync::LazyLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use, by number. Must be read before the first thread is pinned.
static ALL: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
});

/// How many there are.
pub fn count() -> usize {
    ALL.len()
}

/// Pins this thread, and everything it starts from now on, to the clients' core.
pub fn be_client() {
    if count() > 1 {
        be_on(&ALL[..1]);
    }
}

/// Pins this thread, and everything it starts from now on, to the servers' cores.
pub fn be_server() {
    if count() > 1 {
        be_on(&ALL[1..]);
    }
}

fn be_on(cores: &[usize]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).expect("a core that this process may use");
}
