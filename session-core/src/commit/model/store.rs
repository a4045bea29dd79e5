//! The store of the model: records by id, written under a condition.

use std::hash::{Hash, Hasher};

use crate::clock::Timestamp;
use crate::id::StorageId;
use crate::provider::WriteOutcome;
use crate::record::{Body, Header, Record, State, VERSIONS, Version};
use crate::rename;

/// How many changes are counted in the body of a record.
pub(super) const CHANGES: usize = 4;

/// The number of an id; ids are drawn one after the other.
pub(super) type Id = u8;

/// What a store compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Versions,
    /// Its own token, which every write changes; the version only where the caller has no token, or
    /// an old one.
    Cas,
}

/// A record as the states of the search keep it: small, and with a hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rec {
    pub moved: Option<Id>,
    pub versions: [u8; VERSIONS],
    pub cas: u8,
    /// How often each change was applied.
    pub counts: [u8; CHANGES],
    /// Which session it is.
    pub session: u8,
}

/// In three words instead of fifteen bytes: most of the time of a search is spent here.
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

    /// The same record as the code knows it.
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

    /// The next record over this one, with the memory of versions that the code keeps.
    pub fn next(&self, version: u8) -> Self {
        Self { cas: 0, ..self.with_header(&self.real().header.next(), version) }
    }

    /// What the old id shows after a rename.
    pub fn tombstone(&self, to: Id, version: u8) -> Self {
        let real = rename::tombstone(&self.real(), &storage_id(to), Timestamp::from_millis(0));
        Self { moved: Some(to), cas: 0, counts: [0; CHANGES], ..self.with_header(&real.header, version) }
    }

    /// Draws no random version: equal states must be equal.
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

/// What a conditional write compares, as `Stamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Over {
    pub version: u8,
    pub cas: u8,
}

/// How near the idle deadline of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Deadline {
    Far,
    /// It has passed by the clock of a collection, but not by the engine's.
    Near,
    /// The record is there for nobody, and not yet collected.
    Passed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub record: Option<Rec>,
    pub deadline: Deadline,
    /// The last token that was given out for this id.
    cas: u8,
    /// A client was told of this id.
    pub told: bool,
    /// It once held a tombstone.
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
    /// The same answer as the code knows it, to a write.
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
    /// An empty one. Tokens are unique for one id only: the stores of a cluster count for
    /// themselves.
    pub fn new(cas: u8, told: bool) -> Self {
        Self { record: None, deadline: Deadline::Far, cas, told, replaced: false }
    }

    /// What is there for those who look; an expired record is not.
    pub fn visible(&self) -> Option<&Rec> {
        self.record.as_ref().filter(|_| self.deadline != Deadline::Passed)
    }

    pub fn live(&self) -> Option<&Rec> {
        self.visible().filter(|record| record.moved.is_none())
    }

    /// One step of the store.
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

    /// With a current token nothing is read; without one the record is looked at.
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
