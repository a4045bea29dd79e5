//! Planted flaws: each breaks one rule of the cache, and the search must find it.

use super::properties::{CONDITION, CUT, EXPIRED, OWN, STALE, UNHEARD};
use super::{
    a_bus, a_bus_that_begins, a_bus_without_names, a_logout, a_new_id, changes, the_end_of_all, time,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A write or a notice removes the entry, and does not detach the reads in progress.
    RemovesWithoutDetaching,
    /// A read that began during a write is kept.
    DetachesOnlyBeforeAWrite,
    /// A reader joins a read that has been detached.
    JoinsWhatWasDetached,
    /// The end of all sessions of an owner does not detach the reads in flight.
    EndsAllWithoutDetaching,
    /// The end of all sessions of an owner does not hide kept entries.
    LooksAtNoEndOfAll,
    /// The written record is kept.
    KeepsWhatWasWritten,
    /// An entry is returned without a check of its deadline.
    LooksAtNoDeadline,
    /// The age of an answer counts from the end of the read.
    CountsFromTheEndOfTheRead,
    /// A write is passed to the engine without its condition.
    WritesWithoutACondition,
    /// A clear does not detach the reads in progress.
    ClearsWithoutDetaching,
    /// A bus that connects drops no entries.
    BeginsWithoutClearing,
    /// It drops older entries after it counts as connected.
    BeginsBeforeItClears,
    /// An answer from another epoch, or from none, is returned.
    ComparesNoEpochs,
    /// A bus counts as connected until its loss is noticed.
    HasNoHeartbeat,
    /// An answer to the heartbeat counts from its arrival on.
    CountsFromTheAnswer,
    /// An answer counts before the notices that were sent before it are applied.
    CountsAnswersBeforeNotices,
}

#[test]
fn removes_without_detaching() {
    a_logout().finds(Flaw::RemovesWithoutDetaching, OWN);
    a_new_id().finds(Flaw::RemovesWithoutDetaching, OWN);
    a_bus().finds(Flaw::RemovesWithoutDetaching, UNHEARD);
}

#[test]
fn detaches_only_before_a_write() {
    a_logout().finds(Flaw::DetachesOnlyBeforeAWrite, OWN);
}

#[test]
fn joins_what_was_detached() {
    a_logout().finds(Flaw::JoinsWhatWasDetached, OWN);
    a_bus_that_begins().finds(Flaw::JoinsWhatWasDetached, UNHEARD);
}

#[test]
fn ends_all_without_detaching() {
    the_end_of_all().finds(Flaw::EndsAllWithoutDetaching, OWN);
}

#[test]
fn looks_at_no_end_of_all() {
    the_end_of_all().finds(Flaw::LooksAtNoEndOfAll, OWN);
}

#[test]
fn keeps_what_was_written() {
    time().finds(Flaw::KeepsWhatWasWritten, STALE);
}

#[test]
fn looks_at_no_deadline() {
    changes().finds(Flaw::LooksAtNoDeadline, EXPIRED);
}

#[test]
fn counts_from_the_end_of_the_read() {
    time().finds(Flaw::CountsFromTheEndOfTheRead, STALE);
}

#[test]
fn writes_without_a_condition() {
    changes().finds(Flaw::WritesWithoutACondition, CONDITION);
}

#[test]
fn clears_without_detaching() {
    a_bus_that_begins().finds(Flaw::ClearsWithoutDetaching, UNHEARD);
    a_bus_without_names().finds(Flaw::ClearsWithoutDetaching, UNHEARD);
}

#[test]
fn begins_without_clearing() {
    a_bus_that_begins().finds(Flaw::BeginsWithoutClearing, UNHEARD);
}

#[test]
fn begins_before_it_clears() {
    a_bus_that_begins().finds(Flaw::BeginsBeforeItClears, UNHEARD);
}

#[test]
fn compares_no_epochs() {
    a_bus().finds(Flaw::ComparesNoEpochs, CUT);
}

#[test]
fn has_no_heartbeat() {
    a_bus().finds(Flaw::HasNoHeartbeat, CUT);
}

#[test]
fn counts_from_the_answer() {
    a_bus().finds(Flaw::CountsFromTheAnswer, UNHEARD);
}

#[test]
fn counts_answers_before_notices() {
    a_bus().finds(Flaw::CountsAnswersBeforeNotices, UNHEARD);
}
