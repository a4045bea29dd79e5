//! What is done about one record of the source.

use std::time::Duration;

use session_kit::ErrorKind;
use session_kit::clock::Timestamp;
use session_kit::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_kit::id::StorageId;
use session_kit::record::{Record, Stamp};

use super::journal::Known;
use crate::engine::Engine;
use crate::failure::{Code, Failure, Result};

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The target did not have it.
    Copied,
    /// The target had an earlier version.
    Updated,
    /// The target had this version; its idle deadline was moved.
    Touched,
    /// The target has it.
    Unchanged,
    /// It ended at the source, and so it did at the target.
    Ended,
    /// Its time was up.
    Expired,
    /// The target has a version that the source does not know: left alone.
    Changed,
    /// This copy has stored it, and the target does not have it any more: left alone.
    Missing,
    /// The target cannot hold it.
    TooLarge,
}

/// How careful a pass is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Every record is read at the target and compared, also one that this copy has stored.
    pub verify: bool,
    /// The source wins where both have changed, and what is missing at the target is stored again.
    pub overwrite: bool,
}

/// How often a record at the target may change while it is looked at.
const ATTEMPTS: usize = 8;

/// A deadline may be this much off: engines round it.
const CLOSE: Duration = Duration::from_secs(2);

/// When a record ends by itself.
pub fn deadline(record: &Record) -> Timestamp {
    record.header.deadline.min(record.header.absolute)
}

/// Whether nothing has to be asked of the target.
pub fn is_done(record: &Record, known: Option<Known>, mode: Mode) -> bool {
    let up_to_date = |known: Known| {
        let moved = record.is_live() && deadline(record) > known.deadline.after(CLOSE);
        known.stored && known.version == record.header.version() && !moved
    };
    !mode.verify && known.is_some_and(up_to_date)
}

/// Brings one record to the target.
pub async fn bring(
    to: &Engine,
    id: &StorageId,
    record: &Record,
    known: Option<Known>,
    mode: Mode,
    now: Timestamp,
) -> Result<Step> {
    let ttl = deadline(record).since(now);
    if ttl.is_zero() {
        return Ok(Step::Expired);
    }
    let record = Record { cas: 0, ..record.clone() };
    // Most are not there: the first question is already the write.
    let mut current = match known {
        None if !mode.verify => None,
        // Where a read slides, the deadline becomes the source's.
        _ => to.call("read", to.provider.read(id, ttl)).await?,
    };
    for _ in 0..ATTEMPTS {
        let condition = match decide(&record, known, current.as_ref(), mode, now) {
            Decision::Write(condition) => condition,
            Decision::Touch => {
                let Some(seen) = &current else { return Ok(Step::Unchanged) };
                let touched = to.call("touch", to.provider.touch(id, seen, ttl)).await?;
                return Ok(if touched { Step::Touched } else { Step::Unchanged });
            }
            Decision::Leave(step) => return Ok(step),
        };
        match to.call("write", to.provider.write(id, &record, condition, ttl)).await {
            Ok(WriteOutcome::Stored(_)) if condition == Condition::Absent => return Ok(Step::Copied),
            Ok(WriteOutcome::Stored(_)) => return Ok(Step::Updated),
            Ok(WriteOutcome::Refused(refusal)) => current = refusal.current.map(|current| *current),
            Err(error) if error.kind() == ErrorKind::TooLarge => return Ok(Step::TooLarge),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(
        Code::Failed,
        "a session at the target changes all the time: is the application using it?",
    ))
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Write(Condition),
    Touch,
    Leave(Step),
}

/// What the two records, and what this copy knows of the target's, ask for.
fn decide(
    record: &Record,
    known: Option<Known>,
    current: Option<&Record>,
    mode: Mode,
    now: Timestamp,
) -> Decision {
    let version = record.header.version();
    let Some(current) = current else {
        // It was there, and its time is not up: it was ended at the target, or the target has lost it.
        let lost = known.is_some_and(|known| known.stored && known.deadline > now.after(CLOSE));
        return if lost && !mode.overwrite {
            Decision::Leave(Step::Missing)
        } else {
            Decision::Write(Condition::Absent)
        };
    };
    let stored = current.header.version();
    if stored == version {
        let moved = record.is_live() && deadline(record) > deadline(current).after(CLOSE);
        return match (record.body == current.body, moved) {
            (false, _) if mode.overwrite => Decision::Write(Condition::Over(current.stamp())),
            (false, _) => Decision::Leave(Step::Changed),
            (true, true) => Decision::Touch,
            (true, false) => Decision::Leave(Step::Unchanged),
        };
    }
    let ours = known.is_some_and(|known| known.version == stored || known.previous == Some(stored));
    if ours || record.header.has_version(stored) || mode.overwrite {
        return Decision::Write(Condition::Over(current.stamp()));
    }
    Decision::Leave(Step::Changed)
}

/// Ends a session at the target that the source does not have any more, if it is as this copy has stored it.
pub async fn end(from: &Engine, to: &Engine, id: &StorageId, known: Known) -> Result<Step> {
    // A walk may miss what comes and goes: asked for by its id, it is certain.
    if from.call("exists", from.provider.exists(id)).await? {
        return Ok(Step::Unchanged);
    }
    let mut stamp = Stamp { version: known.version, cas: 0 };
    for _ in 0..ATTEMPTS {
        match to.call("destroy", to.provider.destroy(id, Some(stamp))).await? {
            DestroyOutcome::Destroyed => return Ok(Step::Ended),
            DestroyOutcome::Absent | DestroyOutcome::Moved(_) => return Ok(Step::Expired),
            DestroyOutcome::Refused(current) if ours(known, &current) => stamp = current.stamp(),
            DestroyOutcome::Refused(_) => return Ok(Step::Changed),
        }
    }
    Ok(Step::Changed)
}

fn ours(known: Known, current: &Record) -> bool {
    let stored = current.header.version();
    stored == known.version || known.previous == Some(stored)
}

#[cfg(test)]
mod tests {
    use session_kit::record::{Body, Header, Value, Version};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const END: Timestamp = Timestamp::from_millis(2_000_000);

    fn record() -> Record {
        Record::new(Header::new(NOW, Timestamp::MAX, END), Body::default())
    }

    fn next(record: &Record) -> Record {
        Record::new(record.header.next(), record.body.clone())
    }

    fn known(record: &Record) -> Known {
        let version = record.header.version();
        Known { version, previous: None, deadline: END, stored: true, pass: 1 }
    }

    fn of(source: &Record, known: Option<Known>, target: Option<&Record>) -> Decision {
        decide(source, known, target, Mode::default(), NOW)
    }

    #[test]
    fn the_target_gets_what_the_source_has() {
        let old = record();
        let mut newest = old.clone();
        for _ in 0..20 {
            newest = next(&newest);
        }
        let over = |record: &Record| Decision::Write(Condition::Over(record.stamp()));
        assert_eq!(of(&old, None, None), Decision::Write(Condition::Absent));
        assert_eq!(of(&next(&old), None, Some(&old)), over(&old), "the target has an earlier version");
        assert_eq!(
            of(&newest, Some(known(&old)), Some(&old)),
            over(&old),
            "it is not in the history any more"
        );
        assert_eq!(of(&old, None, Some(&old)), Decision::Leave(Step::Unchanged), "it is there already");
        let mut used = old.clone();
        used.header.deadline = END.after(Duration::from_mins(1));
        assert_eq!(of(&used, Some(known(&old)), Some(&old)), Decision::Touch);
        assert!(
            is_done(&old, Some(known(&old)), Mode::default())
                && !is_done(&used, Some(known(&old)), Mode::default())
        );
    }

    #[test]
    fn what_the_application_did_at_the_target_is_left_alone() {
        let old = record();
        assert_eq!(of(&old, Some(known(&old)), None), Decision::Leave(Step::Missing), "ended there");
        assert_eq!(of(&old, Some(known(&old)), Some(&next(&old))), Decision::Leave(Step::Changed));
        assert_eq!(
            of(&next(&old), Some(known(&old)), Some(&next(&old))),
            Decision::Leave(Step::Changed),
            "both"
        );
        let mut other = old.clone();
        other.body.insert("a", Value::encode(&1).unwrap());
        assert_eq!(
            of(&old, Some(known(&old)), Some(&other)),
            Decision::Leave(Step::Changed),
            "another value"
        );

        let overwrite = Mode { overwrite: true, ..Mode::default() };
        assert_eq!(decide(&old, Some(known(&old)), None, overwrite, NOW), Decision::Write(Condition::Absent));
    }

    #[test]
    fn what_ended_at_the_target_by_its_deadline_is_stored_again_when_it_was_used_since() {
        let mut used = record();
        let before = Some(known(&used));
        used.header.deadline = Timestamp::from_millis(9_000_000);
        let later = END.after(Duration::from_secs(1));
        assert_eq!(decide(&used, before, None, Mode::default(), later), Decision::Write(Condition::Absent));
    }

    #[test]
    fn a_write_that_was_only_intended_is_done_again() {
        let (old, new) = (record(), next(&record()));
        let version = new.header.version();
        let intended =
            Known { version, previous: Some(old.header.version()), deadline: END, stored: false, pass: 0 };
        assert_eq!(of(&new, Some(intended), None), Decision::Write(Condition::Absent));
        assert_eq!(of(&new, Some(intended), Some(&old)), Decision::Write(Condition::Over(old.stamp())));
        assert_ne!(version, Version::default());
    }
}
