//! A process's memory of the records that it has read or written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{Owner, Record, Version};

/// The owners of records that this process has recently read or written. The size is bounded: there
/// are two generations, and the older one is dropped as a whole.
#[derive(Debug, Default)]
pub struct Seen(Mutex<[HashMap<Version, Known>; 2]>);

/// The number of versions in each generation; a generation takes about 2 MB.
const MOST: usize = 16 << 10;

#[derive(Debug, Clone, Copy)]
struct Known {
    owner: Owner,
    absolute: Timestamp,
    checked: Timestamp,
}

impl Seen {
    /// Records the owner of a stored record, and when its entry was last seen in the index.
    pub fn note(&self, record: &Record, checked: Timestamp) {
        let (Some(owner), true) = (record.header.owner, record.is_live()) else { return };
        let known = Known { owner, absolute: record.header.absolute, checked };
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [present, past] = &mut *generations;
        if present.len() >= MOST {
            *past = std::mem::take(present);
        }
        present.insert(record.header.version(), known);
    }

    /// Records that a record was read, and returns whether its entry should be checked: the record
    /// has an owner, and this process has not seen its entry for this long. A match of any of the
    /// record's last eight versions is enough.
    pub fn is_due(&self, record: &Record, now: Timestamp, every: Duration) -> bool {
        let Some(owner) = record.header.owner.filter(|_| record.is_live()) else { return false };
        let absolute = record.header.absolute;
        let mut versions = record.header.versions.into_iter();
        let checked = versions.find_map(|version| self.entered(version, owner, absolute));
        let is_due = checked.is_none_or(|checked| now.since(checked) >= every);
        let checked = checked.filter(|_| !is_due).unwrap_or(now);
        self.note(record, checked);
        is_due
    }

    /// Returns when the entry of the record with this version was last seen, if it has this owner
    /// and absolute deadline.
    pub(super) fn entered(&self, version: Version, owner: Owner, absolute: Timestamp) -> Option<Timestamp> {
        let known = self.get(version).filter(|known| (known.owner, known.absolute) == (owner, absolute))?;
        Some(known.checked)
    }

    fn get(&self, version: Version) -> Option<Known> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.iter().find_map(|generation| generation.get(&version)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Header};

    fn record(now: Timestamp) -> Record {
        let mut record = Record::new(Header::new(now, Timestamp::MAX, Timestamp::MAX), Body::default());
        record.header.owner = Some(Owner::of("ada"));
        record
    }

    #[test]
    fn the_oldest_records_are_forgotten() {
        let (seen, now) = (Seen::default(), Timestamp::from_millis(1_000));
        let entered = |record: &Record| {
            seen.entered(record.header.version(), Owner::of("ada"), Timestamp::MAX).is_some()
        };
        let first = record(now);
        seen.note(&first, now);
        assert!(entered(&first));
        assert!(seen.entered(first.header.version(), Owner::of("bob"), Timestamp::MAX).is_none());
        for _ in 0..40_000 {
            seen.note(&record(now), now);
        }
        assert!(!entered(&first));
    }

    #[test]
    fn an_entry_is_checked_once_per_interval() {
        let (seen, now, minute) = (Seen::default(), Timestamp::from_millis(1_000), Duration::from_secs(60));
        let record = record(now);
        assert!(seen.is_due(&record, now, minute) && !seen.is_due(&record, now, minute));
        assert!(!seen.is_due(&record, now.after(minute / 2), minute));
        assert!(seen.is_due(&record, now.after(minute), minute));
        let written_elsewhere = Record::new(record.header.next(), Body::default());
        assert!(!seen.is_due(&written_elsewhere, now.after(minute), minute));
        let mut visitor = record;
        visitor.header.owner = None;
        assert!(!seen.is_due(&visitor, now.after(minute * 9), minute));
    }
}
