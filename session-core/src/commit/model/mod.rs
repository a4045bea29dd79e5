//! A bounded model of the commit protocol, searched exhaustively, and the ground truth for
//! `classify`.
//!
//! Up to three clients in two processes work on one session, and one may create another. A call may
//! be in flight for any length of time: it is applied late, its answer is lost, the driver resends
//! it, or the client considers it lost, makes its second attempt and gives up. Deadlines pass, and
//! a collection removes the record that it has listed. The store compares versions, or its own
//! tokens.
//!
//! The decisions are those of the code: `classify`, `classify_move`, `queue::follows`,
//! `Header::next` and `rename::tombstone`. The order of the calls around them is repeated in
//! `client`, so a change of `replace`, `relocate`, `create`, `end`, `merge` or `rename::by_writes`
//! has to be made there too.
//!
//! Assumptions, which the search does not cover:
//!
//! - No id is drawn twice.
//! - The first copy of a call that a driver resends is not applied late: its connection was closed
//!   before. A create that is applied once more after it was acknowledged could bring back a
//!   session that ended in between.
//! - Ids are replaced because a request asks for it. The grace of a renewal is not part of the
//!   model.

mod calling;
mod client;
mod flaws;
mod histories;
mod properties;
mod store;
mod world;

use Action::{Change, Create, Destroy, Logout, Regenerate};
use flaws::Flaw;
use session_search::{Found, search};
use store::Compare;
use world::{Action, Scenario};

/// The number of faults in a history, if larger than the scenario's own. Each additional fault
/// multiplies the states of the larger scenarios by about twenty, which a nightly job can afford:
/// `SESSION_MODEL_DEPTH=2 cargo test --release -p session-core --lib commit::model`.
const DEPTH: &str = "SESSION_MODEL_DEPTH";

const BOTH: [Compare; 2] = [Compare::Versions, Compare::Cas];

impl Scenario {
    fn of(clients: &[(u8, &[Action])], faults: u8, deadlines: u8) -> Self {
        let depth = std::env::var(DEPTH).ok().map_or(0, |depth| depth.parse().expect("a number of faults"));
        Self {
            clients: clients.iter().map(|(process, things)| (*process, things.to_vec())).collect(),
            compare: Compare::Versions,
            flaw: None,
            faults: faults.max(depth),
            deadlines,
            tokens: 0,
        }
    }

    /// Asserts that the search finds nothing, on both kinds of store.
    fn holds(&self) {
        for compare in BOTH {
            let Found { states, broken } = search(&Self { compare, ..self.clone() });
            println!("{compare:?}: {states} states");
            if let Some((property, steps)) = broken {
                panic!("{compare:?}: broken: {property}\n{steps}");
            }
        }
    }

    /// Asserts that the search finds a flaw by the property that it breaks.
    fn finds(&self, compare: Compare, flaw: Flaw, expected: &str) {
        let found = search(&Self { compare, flaw: Some(flaw), ..self.clone() });
        let (property, steps) = found.broken.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        assert_eq!(property, expected, "{flaw:?}\n{steps}");
    }
}

/// Two commits in one process and two in another.
fn commits_that_queue() -> Scenario {
    Scenario::of(&[(0, &[Change(0)]), (0, &[Change(1)]), (1, &[Change(2), Change(3)])], 1, 0)
}

/// A handle that is saved twice, concurrently with another commit.
fn saves() -> Scenario {
    Scenario::of(&[(0, &[Change(0), Change(1)]), (1, &[Change(2)])], 2, 0)
}

/// A commit and a regeneration in one process, a commit and a logout in another.
fn a_regeneration_among_commits() -> Scenario {
    Scenario::of(&[(0, &[Change(0)]), (0, &[Regenerate, Change(1)]), (1, &[Change(2), Destroy])], 1, 0)
}

/// Two concurrent regenerations, and a logout by the old id.
fn two_regenerations_and_a_logout() -> Scenario {
    Scenario::of(&[(0, &[Regenerate]), (1, &[Regenerate]), (1, &[Logout])], 1, 0)
}

/// A commit and a logout.
fn a_logout() -> Scenario {
    Scenario::of(&[(0, &[Change(0)]), (1, &[Logout])], 2, 0)
}

/// A new session that is changed and ended, concurrently with a commit to another session.
fn a_create() -> Scenario {
    Scenario::of(&[(0, &[Create, Change(0), Destroy]), (1, &[Change(1)])], 2, 0)
}

/// A commit, a regeneration and a logout, while a deadline passes and expired records are
/// collected.
fn deadlines() -> Scenario {
    Scenario::of(&[(0, &[Change(0)]), (1, &[Regenerate]), (1, &[Logout])], 1, 1)
}

/// A commit queues behind a regeneration. The compare tokens of the new id lag one behind those of
/// the old id, so that they coincide.
fn tokens_that_are_equal_by_chance() -> Scenario {
    let clients: [(u8, &[Action]); 3] = [(0, &[Change(0)]), (0, &[Regenerate]), (1, &[Change(2)])];
    Scenario { tokens: 2, ..Scenario::of(&clients, 1, 0) }
}

#[test]
fn commits_that_queue_lose_and_repeat_nothing() {
    commits_that_queue().holds();
}

#[test]
fn saves_of_one_handle_lose_and_repeat_nothing() {
    saves().holds();
}

#[test]
fn a_replaced_id_stays_dead_and_its_session_keeps_every_commit() {
    a_regeneration_among_commits().holds();
}

#[test]
fn of_regenerations_and_a_logout_one_wins_and_nothing_is_left() {
    two_regenerations_and_a_logout().holds();
}

#[test]
fn a_logout_is_final() {
    a_logout().holds();
}

#[test]
fn a_create_is_there_once_and_ends_once() {
    a_create().holds();
}

#[test]
fn expiry_and_collection_end_nothing_that_is_live() {
    deadlines().holds();
}

#[test]
fn a_compare_token_is_good_for_its_own_id_only() {
    tokens_that_are_equal_by_chance().holds();
}
