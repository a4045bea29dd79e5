//! Who runs where: clients on the first core, servers on the others.
//!
//! Left to itself, a system now and then puts a client and its server on one core, where a round trip takes a third of
//! the time: then a row would compare places and not libraries.

use std::sync::LazyLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this process may use, by number. To be asked for before the first thread is put anywhere.
static ALL: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
});

/// How many there are.
pub fn count() -> usize {
    ALL.len()
}

/// Puts this thread, and what it starts from now on, where clients run.
pub fn be_client() {
    if count() > 1 {
        be_on(&ALL[..1]);
    }
}

/// Puts this thread, and what it starts from now on, where servers run.
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
