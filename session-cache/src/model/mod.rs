//! A model of the cache, searched completely within bounds.
//!
//! Two processes, each with a cache, work on one session of one engine. Their clients read it
//! through the cache or directly, change it, log out, replace its id, or end all sessions of its
//! owner. Each call has several steps (its beginning, the engine's work, the answer, keeping the
//! answer), and the search interleaves the steps of all clients in every order. A client may give
//! up; the engine may then still do its call later. Time passes until the session expires. Notices
//! arrive in any order. The bus breaks, with or without an error, reconnects, and is checked by a
//! heartbeat.
//!
//! The decisions are those of the code (`rules`). The order of the steps is repeated in `client` and
//! `bus`, so a change of `entries`, `Cached` or the listener must be repeated there.
//!
//! Assumptions:
//!
//! - The engine keeps its own promises: it compares and sets atomically, and a listener or its check
//!   fails after a notice was lost (see `session_core::engine::Notify`).
//! - Both processes and the heartbeat have the same clock.
//! - No entry is removed to save memory: that could only cause more reads of the engine.
//! - Deadlines do not move (`touch`).

mod bus;
mod client;
mod flaws;
mod process;
mod properties;
mod world;

use session_search::{Found, search};

use flaws::Flaw;
use world::Do::{Change, EndAll, Fresh, Logout, Read, Regenerate};
use world::{Bus, Do, Scenario};

/// For how many ticks of the clock an answer may be returned without a bus.
const SHORT: u64 = 2;
/// The same with a bus: longer than the time that passes, so that the heartbeat decides.
const LONG: u64 = 4;

impl Scenario {
    fn of(clients: &[(usize, &[Do])]) -> Self {
        Self {
            clients: clients.iter().map(|(process, things)| (*process, things.to_vec())).collect(),
            bus: Bus::Absent,
            names_ids: true,
            max_stale: SHORT,
            ticks: 1,
            deadline: u64::MAX,
            faults: 0,
            flaw: None,
        }
    }

    fn with(self, bus: Bus) -> Self {
        Self { bus, max_stale: LONG, ticks: 2, ..self }
    }

    fn holds(&self) {
        let Found { states, broken } = search(self);
        println!("{states} states");
        if let Some((property, steps)) = broken {
            panic!("broken: {property}\n{steps}");
        }
    }

    /// Asserts that the search finds a mistake, by the property that it breaks.
    fn finds(&self, flaw: Flaw, expected: &str) {
        let found = search(&Self { flaw: Some(flaw), ..self.clone() });
        let (property, steps) = found.broken.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        assert_eq!(property, expected, "{flaw:?}\n{steps}");
    }
}

/// A read beside a logout and a read after it, and a change in the other process.
fn a_logout() -> Scenario {
    Scenario { faults: 1, ..Scenario::of(&[(0, &[Read]), (0, &[Logout, Read]), (1, &[Change])]) }
}

/// The same with a new id.
fn a_new_id() -> Scenario {
    Scenario { faults: 1, ..Scenario::of(&[(0, &[Read]), (0, &[Regenerate, Read]), (1, &[Change])]) }
}

/// The same with the end of all sessions of the owner.
fn the_end_of_all() -> Scenario {
    Scenario { faults: 1, ..Scenario::of(&[(0, &[Read]), (0, &[EndAll, Read]), (1, &[Change])]) }
}

/// Changes over what was read, in both processes, until the session expires.
fn changes() -> Scenario {
    let clients: [(usize, &[Do]); 3] = [(0, &[Read, Change]), (0, &[Read]), (1, &[Read, Change])];
    Scenario { ticks: 2, deadline: 2, ..Scenario::of(&clients) }
}

/// A change in one process and a logout in the other one, long enough for what was read to become
/// too old.
fn time() -> Scenario {
    Scenario { ticks: SHORT, ..Scenario::of(&[(0, &[Read, Read]), (0, &[Change]), (1, &[Logout])]) }
}

/// Reads while the other process changes the session and the bus is lost.
fn a_bus() -> Scenario {
    Scenario { faults: 1, ..Scenario::of(&[(0, &[Read, Read]), (1, &[Change])]).with(Bus::Connected) }
}

/// Two reads at the same time, where a notice does not say which session has changed.
fn a_bus_without_names() -> Scenario {
    let clients: [(usize, &[Do]); 3] = [(0, &[Read]), (0, &[Read]), (1, &[Change])];
    Scenario { names_ids: false, ..Scenario::of(&clients).with(Bus::Connected) }
}

/// A read of the engine from before the bus is connected.
fn a_bus_that_begins() -> Scenario {
    let clients: [(usize, &[Do]); 3] = [(0, &[Read]), (0, &[Fresh]), (1, &[Change])];
    Scenario { ticks: 1, ..Scenario::of(&clients).with(Bus::Lost) }
}

#[test]
fn a_logout_that_was_acknowledged_is_seen_by_every_read_that_begins_after_it() {
    a_logout().holds();
}

#[test]
fn an_id_that_was_replaced_here_is_not_shown_any_more() {
    a_new_id().holds();
}

#[test]
fn no_session_is_shown_of_an_owner_whose_sessions_were_ended_here() {
    the_end_of_all().holds();
}

#[test]
fn a_change_is_made_over_what_its_writer_has_read_and_nothing_is_shown_that_has_expired() {
    changes().holds();
}

#[test]
fn nothing_is_shown_that_changed_too_long_ago() {
    time().holds();
}

#[test]
fn a_bus_that_breaks_turns_the_cache_off_and_not_wrong() {
    a_bus().holds();
    a_bus_without_names().holds();
}

#[test]
fn nothing_is_shown_that_was_asked_for_before_the_bus_was_there() {
    a_bus_that_begins().holds();
}
