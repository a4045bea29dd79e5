//! What can be wrong with an engine, as engines have had it.

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A write ignores the version that was read.
    LosesUpdates,
    /// The condition is checked in one step, and the write done in another.
    ChecksThenWrites,
    /// A replace creates what is not there.
    Resurrects,
    /// What has expired is still served.
    ServesExpired,
    /// A write over a record that has expired is done.
    RevivesExpired,
    /// A touch of a record that has expired brings it back.
    TouchRevives,
    /// A touch draws a new version.
    TouchRewrites,
    /// A read of an unknown id begins a session under it.
    AdoptsIds,
    /// The tokens of the last writes are not kept.
    ForgetsTokens,
    /// A refusal does not show what is stored.
    RefusesBlindly,
    /// A replace keeps the time to live of before.
    SwallowsLifetimes,
    /// Times to live above thirty days are taken for a date.
    TakesDaysForADate,
    /// Times to live are cut to whole milliseconds, and zero means for ever.
    RoundsDown,
    /// Reads move the deadline, though that is not declared.
    SlidesInSecret,
    /// `exists` moves the deadline.
    ExistsSlides,
    /// A rename does not look at the version.
    RenameLosesWrites,
    /// A rename leaves the session under the old id as well.
    RenameCopies,
    /// A rename does not recognise itself when it is sent again.
    RenamesOnce,
    /// A refused rename leaves the record under the new id.
    RenameLeavesRubbish,
    /// A destroy removes a tombstone, and says that it ended a session.
    DestroysTombstones,
    /// A destroy ignores the stamp.
    DestroysBlindly,
    /// A destroy does not remove what cannot be read.
    KeepsUnreadable,
    /// Tombstones are sessions for `exists` and `count`.
    CountsTombstones,
    /// A collection removes what lives.
    CollectsTheLiving,
    /// A collection removes everything at once.
    CollectsWithoutLimit,
    /// A collection does nothing.
    CollectsNothing,
    /// Only the first half of an id counts.
    CutsIds,
    /// The owner is not stored.
    DropsOwners,
    /// An unreadable record looks like none.
    HidesUnreadable,
    /// A newer format is taken for damage.
    MistakesNewer,
    /// A dropped read leaves its answer for the next one.
    MixesAnswersUp,
    /// A write that is dropped half-way leaves half a record.
    WritesHalf,
    /// Its debug output shows the ids that it holds.
    ShowsIds,
    /// A collection leaves tombstones.
    KeepsTombstones,
    /// A collection takes the sessions of another place as well.
    CollectsNeighbours,
    /// Two places of the storage are one.
    SharesPlaces,
    /// A limit beyond 31 bits turns negative.
    OverflowsLimits,
    /// A create takes bytes that cannot be read for an empty place.
    CreatesOverCorrupt,
    /// A create takes a tombstone for an empty place.
    CreatesOverTombstones,
    /// A lifetime beyond 63 bits of milliseconds is a panic.
    OverflowsLifetimes,
    /// A write may be given more time than the absolute deadline leaves.
    WritesPastTheEnd,
    /// A touch may be given more time than the absolute deadline leaves.
    TouchesPastTheEnd,
    /// A refused write moves the deadline all the same.
    RefusalsSlide,
    /// A rename leaves the new id the time that the old one had.
    RenameKeepsDeadline,
    /// A rename leaves the session its owner.
    RenameKeepsOwner,
    /// A tombstone never ends.
    TombstonesForEver,
    /// A tombstone ends when it is made.
    TombstonesEndAtOnce,
    /// Tombstones are sessions for `exists`.
    FindsTombstones,
    /// Tombstones are sessions for `touch`.
    TouchesTombstones,
    /// A touch writes back what its caller had read.
    TouchWritesBack,
    /// Each call sleeps on the thread that polls it.
    Blocks,
    /// An answer that did not arrive is "unavailable".
    ClaimsNothingChanged,
    /// Errors name the id.
    ErrorsShowIds,
    /// Errors show the bytes of the record.
    ErrorsShowRecords,
    /// A read shows what an earlier read of the session showed, now and then.
    ServesStale,
    /// A write names the compare token of what is there by then, which may be somebody else's.
    MixesStamps,
    /// A write is done and said not to be, now and then.
    DeniesWrites,
    /// The driver sends a write twice, now and then, does not say so, and the tokens by which that
    /// is seen are not kept.
    ResendsInSecret,
    /// A write ends the session, now and then.
    DropsSessions,
    /// The list of an owner shows everybody's sessions.
    ListsStrangers,
    /// A page of a list begins with the last session of the page before.
    ListsTwice,
    /// A session that is listed counts as used.
    ListSlides,
    /// The sessions of an owner end up to the first page.
    EndsTheFirstPage,
    /// A walk leaves out what was moved to another id.
    WalksPastMoved,
}
