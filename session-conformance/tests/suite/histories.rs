//! Each of these providers violates guarantees, and a history must show the named one.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use session_conformance::histories::{Event, Found, Line, Outcome, Promise, Seen, What, check, search};
use session_core::ErrorKind;

use crate::support::{Example, Flaw, Kind};

/// Long enough for a very busy machine; most are found in the first second.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs until a history violates one of these guarantees. A flaw may violate others as well, which
/// may be found first.
fn finds(promises: &[Promise], kind: Kind, flaw: Flaw) {
    let begun = Instant::now();
    let mut others = HashSet::new();
    while begun.elapsed() < PATIENCE {
        match search(|| Example::with(kind, flaw), PATIENCE, None) {
            Err(failure) if promises.contains(&failure.violation.promise) => {
                assert!(
                    failure.report().contains(&failure.seed.to_string()),
                    "a report says how to repeat it"
                );
                return;
            }
            Err(failure) => drop(others.insert(failure.violation.promise)),
            Ok(_) => break,
        }
    }
    panic!("{flaw:?} violates {promises:?}, but the histories have shown {others:?}");
}

macro_rules! found {
    ($($test:ident: $flaw:ident $(on $kind:ident)?, as $($promise:ident)or+;)+) => {$(
        #[test]
        fn $test() {
            let kind = Kind::default();
            $(let kind = Kind { $kind: true, ..kind };)?
            finds(&[$(Promise::$promise),+], kind, Flaw::$flaw);
        }
    )+};
}

found! {
    a_lost_update: LosesUpdates, as NoLostUpdate;
    a_check_that_is_not_one_step_with_its_write: ChecksThenWrites, as NoLostUpdate;
    a_resurrection: Resurrects, as LogoutIsFinal;
    an_update_that_is_applied_twice: ResendsInSecret, as AtMostOnce;
    a_stale_read: ServesStale, as Monotonic;
    a_stamp_of_two_records: MixesStamps on cas_only, as NoLostUpdate or LogoutIsFinal;
    a_write_that_is_denied: DeniesWrites, as RefusedIsNotApplied;
    a_session_that_is_dropped: DropsSessions, as Kept;
    an_old_id_that_stays_alive: RenameCopies, as OneId;
    a_write_that_is_lost_at_a_regeneration: RenameLosesWrites, as NoLostUpdate;
    a_logout_that_does_not_follow: DestroysTombstones, as LogoutIsFinal;
    a_touch_that_writes_back: TouchWritesBack, as NoLostUpdate;
    a_half_record: WritesHalf, as HonestErrors;
}

/// The session after one client has added these numbers.
fn of(log: &[u64]) -> Seen {
    let own = log.last().map(|last| (0, *last)).into_iter().collect();
    Seen { log: log.to_vec(), counter: log.len() as u64, own }
}

fn load(token: usize, log: &[u64]) -> What {
    What::Load { token, found: Found::Session(of(log)) }
}

fn nothing(token: usize) -> What {
    What::Load { token, found: Found::Nothing }
}

fn commit(number: u64, outcome: Outcome, log: &[u64]) -> What {
    let after = (outcome == Outcome::Done).then(|| of(log));
    What::Commit { token: 0, number: Some(number), renews: false, renewed: None, outcome, after }
}

fn renew(outcome: Outcome) -> What {
    let after = (outcome == Outcome::Done).then(|| of(&[]));
    let renewed = (outcome == Outcome::Done).then_some(1);
    What::Commit { token: 0, number: None, renews: true, renewed, outcome, after }
}

fn logout(outcome: Outcome) -> What {
    What::End { token: 0, outcome }
}

/// One call after the other.
fn in_a_row(calls: Vec<What>) -> Vec<Event> {
    let event = |(at, what): (u64, What)| Event { client: 0, begin: at * 2, end: at * 2 + 1, what };
    (0..).zip(calls).map(event).collect()
}

/// All calls at the same time.
fn at_once(calls: Vec<What>) -> Vec<Event> {
    let event = |(at, what): (u64, What)| Event { client: 0, begin: at, end: 100 + at, what };
    (0..).zip(calls).map(event).collect()
}

fn breaks(history: &[Event]) -> Option<Promise> {
    check(history, Line::Bad).err().map(|violation| violation.promise)
}

#[test]
fn an_explicable_history_is_not_a_violation() {
    use Outcome::{Done, Refused, Unknown};
    let gone = Refused(ErrorKind::Gone);
    for history in [
        in_a_row(vec![load(0, &[]), commit(1, Done, &[1]), load(0, &[1]), logout(Done), nothing(0)]),
        in_a_row(vec![commit(1, Unknown, &[]), load(0, &[]), load(0, &[1])]),
        in_a_row(vec![commit(1, Unknown, &[]), load(0, &[])]),
        in_a_row(vec![commit(1, Refused(ErrorKind::Unavailable), &[]), load(0, &[])]),
        in_a_row(vec![logout(Unknown), load(0, &[]), nothing(0)]),
        in_a_row(vec![renew(Done), nothing(0), load(1, &[])]),
        in_a_row(vec![renew(Unknown), nothing(0)]),
        at_once(vec![load(0, &[1]), load(0, &[]), commit(1, Done, &[1])]),
        at_once(vec![load(0, &[]), logout(Done), nothing(0), commit(1, gone, &[])]),
        at_once(vec![load(0, &[]), renew(Done), nothing(0), commit(1, gone, &[])]),
    ] {
        assert_eq!(breaks(&history), None, "{history:?}");
    }
}

#[test]
fn an_inexplicable_history_names_the_guarantee() {
    use Outcome::{Done, Refused};
    let torn = Seen { counter: 2, ..of(&[1]) };
    let two_renewals = at_once(vec![renew(Done), renew(Done)]);
    for (promise, history) in [
        (Promise::NoLostUpdate, at_once(vec![commit(1, Done, &[1]), commit(2, Done, &[2])])),
        (Promise::NoLostUpdate, at_once(vec![commit(1, Done, &[])])),
        (Promise::AtMostOnce, at_once(vec![commit(1, Done, &[1]), load(0, &[1, 1])])),
        (
            Promise::RefusedIsNotApplied,
            at_once(vec![commit(1, Refused(ErrorKind::Conflict), &[]), load(0, &[1])]),
        ),
        (Promise::RefusedIsNotApplied, at_once(vec![load(0, &[1])])),
        (Promise::Whole, at_once(vec![What::Load { token: 0, found: Found::Session(torn) }])),
        (Promise::Monotonic, in_a_row(vec![commit(1, Done, &[1]), load(0, &[])])),
        (Promise::LogoutIsFinal, in_a_row(vec![logout(Done), load(0, &[])])),
        (Promise::LogoutIsFinal, in_a_row(vec![logout(Done), commit(1, Done, &[1])])),
        (Promise::OneId, in_a_row(vec![renew(Done), load(0, &[])])),
        (Promise::OneId, in_a_row(vec![renew(Done), commit(1, Done, &[1])])),
        (Promise::OneId, two_renewals),
        (Promise::Kept, in_a_row(vec![load(0, &[]), nothing(0)])),
        (Promise::Kept, in_a_row(vec![nothing(0), logout(Done)])),
        (Promise::HonestErrors, in_a_row(vec![commit(1, Refused(ErrorKind::Corrupt), &[])])),
    ] {
        assert_eq!(breaks(&history), Some(promise), "{history:?}");
    }
}

#[test]
fn on_a_good_connection_every_outcome_is_known_and_an_ended_session_is_gone() {
    let unheard = in_a_row(vec![commit(1, Outcome::Unknown, &[])]);
    let gone = Outcome::Refused(ErrorKind::Gone);
    let applied = at_once(vec![logout(Outcome::Done), commit(1, gone, &[]), load(0, &[1])]);
    for (history, promise) in [(unheard, Promise::HonestErrors), (applied, Promise::RefusedIsNotApplied)] {
        assert_eq!(check(&history, Line::Bad).err().map(|violation| violation.promise), None);
        assert_eq!(check(&history, Line::Good).err().map(|violation| violation.promise), Some(promise));
    }
}
