//! Defects of engines, as found in practice.

/// The violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A write ignores the version that was read.
    LosesUpdates,
    /// The condition is checked in one step, and the write done in another.
    ChecksThenWrites,
    /// A replace creates what is not there.
    Resurrects,
    /// Expired records are still served.
    ServesExpired,
    /// A write over an expired record is stored.
    RevivesExpired,
    /// A touch of an expired record revives it.
    TouchRevives,
    /// A touch draws a new version.
    TouchRewrites,
    /// A read of an unknown id creates a session under it.
    AdoptsIds,
    /// The tokens of the last writes are not kept.
    ForgetsTokens,
    /// A refusal does not return the stored record.
    RefusesBlindly,
    /// A replace keeps the previous time to live.
    SwallowsLifetimes,
    /// Times to live above thirty days are interpreted as a date.
    TakesDaysForADate,
    /// Times to live are truncated to whole milliseconds, and zero means forever.
    RoundsDown,
    /// Reads extend the deadline, though that is not declared.
    SlidesInSecret,
    /// `exists` extends the deadline.
    ExistsSlides,
    /// A rename ignores the version.
    RenameLosesWrites,
    /// A rename leaves the session under the old id as well.
    RenameCopies,
    /// A rename does not recognise its retry.
    RenamesOnce,
    /// A refused rename leaves the record under the new id.
    RenameLeavesRubbish,
    /// A destroy removes a tombstone, and reports that it ended a session.
    DestroysTombstones,
    /// A destroy ignores the stamp.
    DestroysBlindly,
    /// A destroy does not remove unreadable records.
    KeepsUnreadable,
    /// Tombstones are sessions for `exists` and `count`.
    CountsTombstones,
    /// A collection removes live sessions.
    CollectsTheLiving,
    /// A collection removes everything at once.
    CollectsWithoutLimit,
    /// A collection does nothing.
    CollectsNothing,
    /// Only the first half of an id is compared.
    CutsIds,
    /// The owner is not stored.
    DropsOwners,
    /// An unreadable record reads as absent.
    HidesUnreadable,
    /// A newer format is reported as damage.
    MistakesNewer,
    /// A dropped read leaves its response to the next one.
    MixesAnswersUp,
    /// A write that is dropped half-way leaves half a record.
    WritesHalf,
    /// Its debug output shows its ids.
    ShowsIds,
    /// A collection leaves tombstones.
    KeepsTombstones,
    /// A collection removes sessions of another namespace as well.
    CollectsNeighbours,
    /// Two namespaces of the storage are the same.
    SharesPlaces,
    /// A limit beyond 31 bits becomes negative.
    OverflowsLimits,
    /// A create treats unreadable bytes as absent.
    CreatesOverCorrupt,
    /// A create treats a tombstone as absent.
    CreatesOverTombstones,
    /// A lifetime beyond 63 bits of milliseconds panics.
    OverflowsLifetimes,
    /// A write may exceed the absolute deadline.
    WritesPastTheEnd,
    /// A touch may exceed the absolute deadline.
    TouchesPastTheEnd,
    /// A refused write still extends the deadline.
    RefusalsSlide,
    /// A rename keeps the old id's remaining lifetime.
    RenameKeepsDeadline,
    /// A rename keeps the previous owner.
    RenameKeepsOwner,
    /// A tombstone never ends.
    TombstonesForEver,
    /// A tombstone ends when it is made.
    TombstonesEndAtOnce,
    /// Tombstones are sessions for `exists`.
    FindsTombstones,
    /// Tombstones are sessions for `touch`.
    TouchesTombstones,
    /// A touch writes back the record that its caller had read.
    TouchWritesBack,
    /// Each call sleeps on the thread that polls it.
    Blocks,
    /// A lost response is "unavailable".
    ClaimsNothingChanged,
    /// Errors name the id.
    ErrorsShowIds,
    /// Errors show the bytes of the record.
    ErrorsShowRecords,
    /// A read sometimes returns an earlier state of the session.
    ServesStale,
    /// A write returns the compare token of the current record, which may be another write's.
    MixesStamps,
    /// A write is sometimes applied but reported as refused.
    DeniesWrites,
    /// The driver sometimes sends a write twice without reporting it, and the tokens that would
    /// reveal it are not kept.
    ResendsInSecret,
    /// A write sometimes ends the session.
    DropsSessions,
    /// The list of an owner shows all users' sessions.
    ListsStrangers,
    /// A page of a list begins with the last session of the previous page.
    ListsTwice,
    /// Listing a session extends its deadline.
    ListSlides,
    /// Only the first page of an owner's sessions is ended.
    EndsTheFirstPage,
    /// A scan skips tombstones.
    WalksPastMoved,
}
