//! The suite is worth what it catches: each of these providers is broken in one way, and a behaviour says so by name.

mod support;

use support::{Example, Flaw, Kind};

type Behaviour = (&'static str, fn(Example));

const BEHAVIOURS: &[Behaviour] = session_conformance::__behaviours!(__list[Example]);

/// Which of the named behaviours such a provider fails.
fn failing(kind: Kind, names: &[&'static str]) -> Vec<&'static str> {
    let run = |name: &&'static str| {
        let (_, behaviour) =
            BEHAVIOURS.iter().find(|(known, _)| known == name).expect("a behaviour of this name");
        let behaviour = *behaviour;
        std::thread::spawn(move || behaviour(Example::of(kind))).join().is_err()
    };
    names.iter().copied().filter(run).collect()
}

#[track_caller]
fn caught(flaw: Flaw, by: &[&'static str]) {
    let kind = Kind { flaw: Some(flaw), ..Kind::default() };
    assert_eq!(failing(kind, by), by, "{flaw:?} must be caught by each of these");
}

#[test]
fn a_lost_update() {
    caught(
        Flaw::LosesUpdates,
        &[
            "conditional::a_replace_needs_the_version_that_was_read",
            "conditional::of_many_replaces_at_once_one_is_stored",
            "merging::forty_overlapping_updates_count_forty",
        ],
    );
}

#[test]
fn a_resurrection() {
    caught(
        Flaw::Resurrects,
        &["conditional::a_replace_never_creates", "ending::a_destroyed_session_is_gone_for_every_method"],
    );
}

#[test]
fn there_are_at_least_sixty_behaviours_and_no_two_of_one_name() {
    let mut names: Vec<_> = BEHAVIOURS.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BEHAVIOURS.len());
}
