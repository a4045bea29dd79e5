//! The store of the model: records by id, with conditional writes.

use std::hash::{Hash, Hasher};

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::WriteOutcome;
use crate::record::{Body, Header, Record, State, VERSIONS, Version};
use crate::rename;

/// The number of changes that the body of a record counts.
pub(super) const CHANGES: usize = 4;

/// An id; ids are numbered consecutively.
pub(super) type Id = u8;

/// The value that a store compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Versions,
    /// The store's own token, which every write changes; the version only if the caller has no
    /// token, or a stale one.
    Cas,
}

/// A record in a state of the search: small and hashable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rec {
    pub moved: Option<Id>,
    pub versions: [u8; VERSIONS],
    pub cas: u8,
    /// The number of times that each change was applied.
    pub counts: [u8; CHANGES],
    /// The number of the session.
    pub session: u8,
}

/// Hashes three words instead of fifteen bytes: a search spends most of its time here.
impl Hash for Rec {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { moved, versions, cas, counts, session } = self;
        hasher.write_u64(u64::from_ne_bytes(*versions));
        hasher.write_u32(u32::from_ne_bytes(*counts));
        hasher.write_u32(u32::from_ne_bytes([*cas, *session, u8::from(moved.is_some()), moved.unwrap_or(0)]));
    }
}

impl Rec {
    pub fn first(version: u8, session: u8) -> Self {
        let mut versions = [0; VERSIONS];
        versions[0] = version;
        Self { moved: None, versions, cas: 0, counts: [0; CHANGES], session }
    }

    /// Converts the record to the real type.
    pub fn real(&self) -> Record {
        let header = Header {
            state: self.moved.map_or(State::Live, |to| State::Moved(storage_id(to))),
            versions: self.versions.map(|version| Version(version.into())),
            created: Timestamp::from_millis(0),
            absolute: Timestamp::MAX,
            deadline: Timestamp::MAX,
            owner: None,
            details: None,
        };
        Record { cas: self.cas.into(), ..Record::new(header, Body::default()) }
    }

    /// Returns the next record over this one, with the version history of the real code.
    pub fn next(&self, version: u8) -> Self {
        Self { cas: 0, ..self.with_header(&self.real().header.next(), version) }
    }

    /// Returns the tombstone of the old id after a rename.
    pub fn tombstone(&self, to: Id, version: u8) -> Self {
        let real = rename::tombstone(&self.real(), &storage_id(to), Timestamp::from_millis(0));
        Self { moved: Some(to), cas: 0, counts: [0; CHANGES], ..self.with_header(&real.header, version) }
    }

    /// Replaces the random version, because equal states must compare equal.
    fn with_header(&self, header: &Header, version: u8) -> Self {
        let mut versions = header.versions.map(|Version(version)| u8::try_from(version).unwrap_or(u8::MAX));
        versions[0] = version;
        Self { versions, ..self.clone() }
    }

    pub const fn version(&self) -> u8 {
        self.versions[0]
    }

    pub fn has_version(&self, version: u8) -> bool {
        self.versions.contains(&version)
    }

    pub fn stamp(&self) -> Over {
        Over { version: self.version(), cas: self.cas }
    }
}

pub(super) fn storage_id(id: Id) -> StorageId {
    StorageId::from_hash([id; 32])
}

/// The model's `Stamp`: the values that a conditional write compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Over {
    pub version: u8,
    pub cas: u8,
}

/// The state of a record's idle deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Deadline {
    Far,
    /// The deadline has passed by the clock of a collection, but not by the engine's.
    Near,
    /// The record is invisible, but not yet collected.
    Passed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub record: Option<Rec>,
    pub deadline: Deadline,
    /// The last compare token of this id.
    cas: u8,
    /// A client knows this id.
    pub disclosed: bool,
    /// The slot has held a tombstone.
    pub replaced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Op {
    Write { id: Id, record: Rec, over: Option<Over> },
    Destroy { id: Id, stamp: Option<Over> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Stored { cas: u8 },
    Refused { current: Option<Rec>, resent: bool },
    Destroyed,
    Absent,
    Moved(Id),
}

impl Answer {
    /// Converts the answer to a write to the real type.
    pub fn real(&self) -> WriteOutcome {
        match self {
            Self::Stored { cas } => WriteOutcome::stored_with_cas((*cas).into()),
            Self::Refused { current, resent } => {
                let current = current.as_ref().map(Rec::real);
                if *resent {
                    WriteOutcome::refused_after_resend(current)
                } else {
                    WriteOutcome::refused(current)
                }
            }
            other => unreachable!("{other:?} is no answer to a write"),
        }
    }
}

impl Slot {
    /// Creates an empty slot. Compare tokens are unique per id only, because each server of a
    /// cluster has its own counter.
    pub fn new(cas: u8, disclosed: bool) -> Self {
        Self { record: None, deadline: Deadline::Far, cas, disclosed, replaced: false }
    }

    /// Returns the record that a reader sees; an expired one is invisible.
    pub fn visible(&self) -> Option<&Rec> {
        self.record.as_ref().filter(|_| self.deadline != Deadline::Passed)
    }

    pub fn live(&self) -> Option<&Rec> {
        self.visible().filter(|record| record.moved.is_none())
    }

    /// Applies one operation.
    pub fn apply(&mut self, compare: Compare, op: &Op, resent: bool) -> Answer {
        match op {
            Op::Write { record, over, .. } => self.write(compare, record, *over, resent),
            Op::Destroy { stamp, .. } => self.destroy(compare, *stamp),
        }
    }

    fn write(&mut self, compare: Compare, record: &Rec, over: Option<Over>, resent: bool) -> Answer {
        let holds = match (self.visible(), over) {
            (None, None) => true,
            (Some(current), Some(over)) => matches(compare, current, over),
            _ => false,
        };
        if !holds {
            return Answer::Refused { current: self.visible().cloned(), resent };
        }
        self.put(compare, record.clone())
    }

    pub fn put(&mut self, compare: Compare, mut record: Rec) -> Answer {
        if compare == Compare::Cas {
            self.cas += 1;
            record.cas = self.cas;
        }
        let cas = record.cas;
        self.replaced |= record.moved.is_some();
        self.record = Some(record);
        self.deadline = Deadline::Far;
        Answer::Stored { cas }
    }

    /// A current compare token is enough to remove the record; without one the record is read.
    fn destroy(&mut self, compare: Compare, stamp: Option<Over>) -> Answer {
        let Some(current) = self.visible() else { return Answer::Absent };
        let by_token = compare == Compare::Cas && stamp.is_some_and(|stamp| stamp.cas == current.cas);
        if !by_token {
            if let Some(to) = current.moved {
                return Answer::Moved(to);
            }
            if stamp.is_some_and(|stamp| stamp.version != current.version()) {
                return Answer::Refused { current: Some(current.clone()), resent: false };
            }
        }
        self.record = None;
        Answer::Destroyed
    }
}

fn matches(compare: Compare, current: &Rec, over: Over) -> bool {
    (compare == Compare::Cas && over.cas == current.cas) || over.version == current.version()
}
