//! The properties of every read and every write.

use super::bus::GOOD_FOR;
use super::world::{Bus, Engine, Scenario, State};

pub(super) const OWN: &str =
    "what this process was told that it changed or ended is seen by every later read";
pub(super) const STALE: &str = "nothing is shown that changed `max_stale` ago";
pub(super) const UNHEARD: &str =
    "with a bus nothing is shown that changed longer ago than a heartbeat is good for";
pub(super) const CUT: &str = "after a cut nothing is kept for longer than a heartbeat is good for";
pub(super) const EXPIRED: &str = "no session is shown after its deadline";
pub(super) const CONDITION: &str = "a write is applied only over what its writer has read";

/// A read with its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub state: State,
    /// When it began, and the newest state that its process knew then from the result of a write.
    pub begun: u64,
    pub floor: State,
    /// The answer is from memory.
    pub from_memory: bool,
    /// Since when the bus has been cut.
    pub cut: Option<u64>,
}

/// The property that a read violates.
pub(super) fn of_read(scenario: &Scenario, engine: &Engine, shown: Shown) -> Option<&'static str> {
    let Shown { state, begun, floor, from_memory, cut } = shown;
    let was = &engine.history[usize::from(state)];
    let changed_ago = |time: u64| was.until.is_some_and(|until| until + time <= begun);
    if state < floor {
        Some(OWN)
    } else if from_memory && begun >= scenario.deadline {
        // The load that waits for the read checks the answer again.
        Some(EXPIRED)
    } else if changed_ago(scenario.max_stale) {
        Some(STALE)
    } else if scenario.bus != Bus::Absent && changed_ago(GOOD_FOR) {
        Some(UNHEARD)
    } else if cut.is_some_and(|cut| cut + GOOD_FOR <= begun) {
        Some(CUT)
    } else {
        None
    }
}
