//! The switches of the model: each turns one rule of the protocol into a mistake that a model must find.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// After a lost answer: the version of our write with the compare token of somebody else's newer record.
    MixesCas,
    /// A rename leaves its record, with the token of another id, to those that queue for the old one.
    QueuesAnotherId,
    /// A refusal is a conflict, also when the write may have been sent twice.
    ConflictAfterResend,
    /// The second attempt of a create takes the id of the first.
    CreatesUnderTheSameId,
    /// A rename tells the new id once its record is there, before the old id is dead.
    TellsTooEarly,
    /// A destroy that meets a tombstone is done.
    IgnoresTombstones,
    /// A commit that finds nothing to write over creates the session again.
    ContinuesAfterDestroy,
    /// A collection lists sessions that have not expired.
    CollectsLiveSessions,
    /// A collection removes what it listed without looking again.
    CollectsWithoutCondition,
}
