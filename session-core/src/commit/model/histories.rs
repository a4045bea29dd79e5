//! Compares the verdicts of `classify` with the truth, in every small history of one write.
//!
//! A history is a sequence of steps on the record under one id: the copies of our write arrive, and
//! other clients write, rename, end or create. The writer receives the answer to one copy.
//! Histories with the same observation are grouped: a verdict must hold in all of them, and
//! `Unknown` is allowed only if they differ.

use std::collections::HashMap;

use super::super::classify::{Ending, Meaning, classify, classify_move};
use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::WriteOutcome;
use crate::record::{Body, Header, Record, State, VERSIONS, Version};
use crate::rename;

/// One copy that is applied, an end, a create, seven writes of other clients that push all earlier
/// versions out of the version history, the copy that is answered, and one more step.
const STEPS: usize = 12;

const BASE: Version = Version(1);
const OWN: [Version; 2] = [Version(2), Version(3)];
/// The versions of others are drawn from here on.
const OTHERS: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Create,
    Replace,
    /// A move whose copies lead to the ids with these indexes.
    Move([usize; 2]),
}

/// How an engine finds the record that a refusal carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    /// In the step that refuses.
    AtOnce,
    /// By a separate read, with steps of other clients in between.
    Afterwards,
}

/// The senders that may have sent the write more than once: the core, and the driver.
const FLAGS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// A version as the writer sees it: it knows its own versions and the one that it wrote over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Known {
    None,
    Own(usize),
    Base,
    Other,
}

/// A record as the writer sees it: its versions, and the target of a tombstone.
type Seen = ([Known; VERSIONS], Option<Known>);

/// An outcome as the writer sees it; `None` when the engine said "stored".
type Heard = Option<Option<Seen>>;

/// Everything that the writer sees. It cannot distinguish two histories with equal observations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Observation {
    kind: Kind,
    flags: (bool, bool),
    heard: Heard,
}

/// Everything that the future of a history depends on: histories with an equal present are explored
/// once.
type Present = (Option<Seen>, usize, usize, Option<usize>, bool, Option<Heard>);

/// The conclusion from an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Applied(Option<usize>),
    NotApplied,
    /// The session has ended; a driver that may have resent the write leaves the rest open.
    Over,
    Unknown,
}

#[derive(Debug, Default)]
struct Case {
    verdict: Option<Verdict>,
    /// Which of our copies were applied, in the histories with this observation.
    applied: [bool; 2],
    not_applied: bool,
}

#[derive(Clone)]
struct History {
    stored: Option<Record>,
    /// The number of copies that have arrived, and that were sent.
    arrived: usize,
    sent: usize,
    drawn: u64,
    /// The copy that was applied.
    applied: Option<usize>,
    /// The write was refused, and the engine has yet to read the current record.
    refused: bool,
    heard: Option<WriteOutcome>,
}

struct Search {
    kind: Kind,
    look: Look,
    /// The number of steps that were left when a present was explored, plus one.
    explored: HashMap<Present, usize>,
    cases: HashMap<Observation, Case>,
}

fn id(n: u8) -> StorageId {
    StorageId::from_hash([n; 32])
}

fn new_ids() -> [StorageId; 2] {
    [id(1), id(2)]
}

fn first(version: Version) -> Record {
    let mut header = Header::new(Timestamp::from_millis(0), Timestamp::MAX, Timestamp::MAX);
    header.versions[0] = version;
    Record::new(header, Body::default())
}

fn over(record: &Record, version: Version) -> Record {
    let mut header = record.header.next();
    header.versions[0] = version;
    Record::new(header, Body::default())
}

fn moved(record: &Record, to: &StorageId, version: Version) -> Record {
    let mut tombstone = rename::tombstone(record, to, Timestamp::from_millis(0));
    tombstone.header.versions[0] = version;
    tombstone
}

impl Search {
    fn of(kind: Kind, look: Look) -> HashMap<Observation, Case> {
        let mut search = Self { kind, look, explored: HashMap::new(), cases: HashMap::new() };
        for sent in [1, 2] {
            // A create finds no record, unless its id is already in use.
            let mut before = vec![Some(first(BASE))];
            if kind == Kind::Create {
                before = vec![None, Some(first(Version(OTHERS)))];
            }
            for stored in before {
                let history = History {
                    stored,
                    arrived: 0,
                    sent,
                    drawn: OTHERS + 1,
                    applied: None,
                    refused: false,
                    heard: None,
                };
                search.explore(&history, STEPS);
            }
        }
        search.cases
    }

    fn explore(&mut self, history: &History, left: usize) {
        let explored = self.explored.entry(history.present()).or_default();
        if *explored > left {
            return;
        }
        *explored = left + 1;
        self.note(history);
        if left == 0 {
            return;
        }
        if history.arrived < history.sent {
            self.arrive(history, left);
        }
        if history.refused && history.heard.is_none() {
            let mut next = history.clone();
            next.heard = Some(WriteOutcome::refused(history.stored.clone()));
            self.explore(&next, left);
        }
        self.others(history, left);
    }

    /// A copy of our write arrives, and is applied if its condition holds.
    fn arrive(&mut self, history: &History, left: usize) {
        let copy = history.arrived;
        let mut next = history.clone();
        next.arrived += 1;
        let record = match (self.kind, &history.stored) {
            (Kind::Create, None) => Some(first(OWN[0])),
            (Kind::Replace, Some(base)) if base.header.version() == BASE => Some(over(base, OWN[0])),
            (Kind::Move(to), Some(base)) if base.header.version() == BASE => {
                Some(moved(base, &new_ids()[to[copy]], OWN[to[copy]]))
            }
            _ => None,
        };
        let is_stored = record.is_some();
        if let Some(record) = record {
            next.applied = Some(copy);
            next.stored = Some(record);
        }
        // Its answer is lost, or the writer has already received another one.
        self.explore(&next, left - 1);
        if history.heard.is_none() && !history.refused {
            match (is_stored, self.look) {
                (true, _) => next.heard = Some(WriteOutcome::stored()),
                (false, Look::AtOnce) => next.heard = Some(WriteOutcome::refused(next.stored.clone())),
                (false, Look::Afterwards) => next.refused = true,
            }
            self.explore(&next, left - 1);
        }
    }

    /// Explores every step of other clients: a write, a rename, an end (a logout or an expiry), a
    /// create.
    ///
    /// No other client knows the id of a create before it is acknowledged. Another session has it
    /// only after a collision of 256 random bits; that this session also ends during the create is
    /// left out.
    fn others(&mut self, history: &History, left: usize) {
        let may_end = self.kind != Kind::Create;
        let version = Version(history.drawn);
        let mut steps = Vec::new();
        match &history.stored {
            None if may_end => steps.push(Some(first(version))),
            None => {}
            Some(current) => {
                let is_ours = self.kind == Kind::Create && current.header.has_version(OWN[0]);
                if current.is_live() && !is_ours {
                    steps.push(Some(over(current, version)));
                    steps.push(Some(moved(current, &id(9), version)));
                }
                if may_end {
                    steps.push(None);
                }
            }
        }
        for stored in steps {
            let next = History { stored, drawn: history.drawn + 1, ..history.clone() };
            self.explore(&next, left - 1);
        }
    }

    /// Records the truth at the end of this history under the writer's observation.
    fn note(&mut self, history: &History) {
        let Some(outcome) = &history.heard else { return };
        let was_sent_once = history.sent == 1;
        let applied = history.applied.map(|copy| self.to(copy));
        for flags in FLAGS.into_iter().filter(|flags| (*flags == (false, false)) == was_sent_once) {
            let case =
                self.cases.entry(Observation { kind: self.kind, flags, heard: heard(outcome) }).or_default();
            match applied {
                Some(to) => case.applied[to] = true,
                None => case.not_applied = true,
            }
            if case.verdict.is_none() {
                case.verdict = Some(verdict(self.kind, flags, outcome));
            }
        }
    }

    /// Returns the index of the drawn id that a copy leads to; always zero, except for moves.
    fn to(&self, copy: usize) -> usize {
        if let Kind::Move(to) = self.kind { to[copy] } else { 0 }
    }
}

impl History {
    fn present(&self) -> Present {
        let Self { arrived, sent, applied, refused, .. } = *self;
        (self.stored.as_ref().map(seen), arrived, sent, applied, refused, self.heard.as_ref().map(heard))
    }
}

fn heard(outcome: &WriteOutcome) -> Heard {
    match outcome {
        WriteOutcome::Stored(_) => None,
        WriteOutcome::Refused(refusal) => Some(refusal.current.as_deref().map(seen)),
    }
}

fn seen(record: &Record) -> Seen {
    let moved = match &record.header.state {
        State::Live => None,
        State::Moved(to) => Some(new_ids().iter().position(|id| id == to).map_or(Known::Other, Known::Own)),
    };
    (record.header.versions.map(known), moved)
}

fn known(version: Version) -> Known {
    match version {
        Version(0) => Known::None,
        BASE => Known::Base,
        version => OWN.iter().position(|own| *own == version).map_or(Known::Other, Known::Own),
    }
}

/// Calls the real code, and checks that the record in its answer is the newest one.
fn verdict(kind: Kind, (resent, by_driver): (bool, bool), heard: &WriteOutcome) -> Verdict {
    let mut outcome = heard.clone();
    if let WriteOutcome::Refused(refusal) = &mut outcome {
        refusal.resent = by_driver;
    }
    let newest = match heard {
        WriteOutcome::Refused(refusal) => refusal.current.as_deref().cloned(),
        WriteOutcome::Stored(_) => None,
    };
    let [a, b] = new_ids();
    let (moved_to, meaning) = match kind {
        Kind::Create => (None, classify(outcome, &OWN[..1], None, resent)),
        Kind::Replace => (None, classify(outcome, &OWN[..1], Some(BASE), resent)),
        Kind::Move(_) => classify_move(outcome, [&a, &b], BASE, resent),
    };
    match meaning {
        Meaning::Applied { current, .. } => {
            assert_eq!(current.as_deref(), newest.as_ref(), "{kind:?}: the newest record");
            Verdict::Applied(moved_to)
        }
        Meaning::Superseded(current) => {
            assert_eq!(Some(&*current), newest.as_ref(), "{kind:?}: the newest record");
            assert!(current.is_live());
            Verdict::NotApplied
        }
        Meaning::Ended(Ending::Moved(to)) => {
            assert_eq!(newest.map(|newest| newest.header.state), Some(State::Moved(to)), "{kind:?}");
            Verdict::NotApplied
        }
        Meaning::Ended(Ending::Gone) => {
            assert_eq!(newest, None, "{kind:?}");
            if by_driver { Verdict::Over } else { Verdict::NotApplied }
        }
        Meaning::Unknown => Verdict::Unknown,
    }
}

/// Checks every observation, and returns the number of times that each verdict was reached.
fn check(kind: Kind) -> [usize; 3] {
    let mut cases: HashMap<Observation, Case> = HashMap::new();
    for look in [Look::AtOnce, Look::Afterwards] {
        for (observation, found) in Search::of(kind, look) {
            let case = cases.entry(observation).or_default();
            case.verdict = found.verdict;
            case.not_applied |= found.not_applied;
            case.applied = [0, 1].map(|copy| case.applied[copy] | found.applied[copy]);
        }
    }
    let mut given = [0; 3];
    for (observation, case) in cases {
        let applied = case.applied.contains(&true);
        match case.verdict.unwrap() {
            Verdict::Applied(to) => {
                given[0] += 1;
                assert!(!case.not_applied, "not applied in all histories: {observation:?}");
                if let Some(to) = to {
                    assert!(!case.applied[1 - to], "it moved to the other id: {observation:?}");
                }
            }
            Verdict::NotApplied => {
                given[1] += 1;
                assert!(!applied, "applied in some history: {observation:?}");
            }
            Verdict::Over => {}
            Verdict::Unknown => {
                given[2] += 1;
                assert!(applied && case.not_applied, "the observation proves it: {observation:?}");
            }
        }
    }
    given
}

#[test]
fn every_verdict_on_a_create_is_true_and_none_is_needlessly_unknown() {
    let [applied, not_applied, _] = check(Kind::Create);
    assert!(applied > 0 && not_applied > 0);
}

#[test]
fn every_verdict_on_a_replace_is_true_and_none_is_needlessly_unknown() {
    assert!(check(Kind::Replace).iter().all(|given| *given > 0));
}

#[test]
fn every_verdict_on_a_move_is_true_and_none_is_needlessly_unknown() {
    for to in [[0, 0], [0, 1], [1, 0]] {
        assert!(check(Kind::Move(to)).iter().all(|given| *given > 0));
    }
}
