//! Interprets the outcome of a conditional write. No other module does.

use crate::id::StorageId;
use crate::provider::{Refusal, Stored, WriteOutcome};
use crate::record::{Record, State, Version};

/// The fate of a write.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// The write is part of the session's history. `current` is a record that was written after it,
    /// or the written record itself; `None` when the engine answered "stored", and the written
    /// record is the newest one known.
    Applied { stored: Stored, current: Option<Box<Record>> },
    /// The write was not applied and never will be: another request changed the session, and this
    /// is the newest record.
    Superseded(Box<Record>),
    /// The session has ended, or has another id. The write was not applied, or nothing is left of
    /// it.
    Ended(Ending),
    /// Nothing proves whether the write was applied.
    Unknown,
}

/// The reason why there is no record left to write over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is no record.
    Gone,
    /// There is a tombstone, which names the session's new id.
    Moved(StorageId),
}

/// Decides what an outcome means for a write whose version is one of `own`, over a record of the
/// version `base` (`None` for a create). `resent` means that the write may have reached the engine
/// more than once.
///
/// Two rules decide every case:
///
/// - **A version in the history proves an application**, because versions are random and drawn once
///   per write.
/// - **A refusal proves that a write was not applied** only when it was sent once, or when the
///   history that it shows reaches back to `base`: then every write since is on the list, and `own`
///   is not among them.
pub(crate) fn classify(
    outcome: WriteOutcome,
    own: &[Version],
    base: Option<Version>,
    resent: bool,
) -> Meaning {
    let refusal = match outcome {
        WriteOutcome::Stored(stored) => return Meaning::Applied { stored, current: None },
        WriteOutcome::Refused(refusal) => refusal,
    };
    let Refusal { current, resent: by_driver } = refusal;
    let sent_once = !(resent || by_driver);
    let Some(current) = current else {
        return if sent_once || is_over(base, resent) {
            Meaning::Ended(Ending::Gone)
        } else {
            Meaning::Unknown
        };
    };
    if own.iter().any(|own| current.header.has_version(*own)) {
        return Meaning::Applied { stored: Stored::default(), current: Some(current) };
    }
    // A create that finds another record was not applied before it: a create never overwrites a
    // record.
    let shows_all = base.is_none_or(|base| current.header.has_version(base));
    if !(sent_once || shows_all) {
        return Meaning::Unknown;
    }
    match &current.header.state {
        State::Live => Meaning::Superseded(current),
        State::Moved(to) => Meaning::Ended(Ending::Moved(to.clone())),
    }
}

/// Returns whether a missing record settles a write that only the driver may have resent. Such a
/// driver marks every refusal as resent. The session has ended in any case, and no reader can see
/// what the write did before that. The outcome of a create, or of a write with an unanswered
/// attempt, remains unknown.
const fn is_over(base: Option<Version>, resent: bool) -> bool {
    base.is_some() && !resent
}

/// Decides what an outcome means for a move of a session to one of the ids that were drawn for it.
/// Also returns the index of the id that it moved to, if the outcome shows that.
pub(crate) fn classify_move(
    outcome: WriteOutcome,
    drawn: [&StorageId; 2],
    base: Version,
    resent: bool,
) -> (Option<usize>, Meaning) {
    let moved_to = match &outcome {
        WriteOutcome::Refused(Refusal { current: Some(current), .. }) => match &current.header.state {
            State::Moved(to) => drawn.iter().position(|id| *id == to),
            State::Live => None,
        },
        _ => None,
    };
    let meaning = match outcome {
        WriteOutcome::Refused(refusal) if moved_to.is_some() => {
            Meaning::Applied { stored: Stored::default(), current: refusal.current }
        }
        outcome => classify(outcome, &[], Some(base), resent),
    };
    (moved_to, meaning)
}
