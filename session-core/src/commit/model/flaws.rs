//! Tests of the model itself: each flaw breaks one rule of the protocol, and the search must find
//! it.

use super::properties::{
    AT_MOST_ONCE, LOGOUT_IS_FINAL, NO_LOST_UPDATE, NOTHING_IS_LOST, ONE_ID, REPLACED_IDS_STAY_DEAD,
};
use super::store::Compare::{Cas, Versions};
use super::world::Action::{Create, Destroy};
use super::{
    BOTH, Scenario, a_logout, commits_that_queue, deadlines, saves, tokens_that_are_equal_by_chance,
    two_regenerations_and_a_logout,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// After a lost answer, the version of our write is combined with the compare token of another
    /// client's newer record.
    MixesCas,
    /// A rename passes its record, with the compare token of another id, to the commits that queue
    /// for the old id.
    QueuesAnotherId,
    /// A refusal is a conflict even when the write may have been sent twice.
    ConflictAfterResend,
    /// The second attempt of a create uses the id of the first.
    CreatesUnderTheSameId,
    /// A rename discloses the new id once its record exists, before the old id is dead.
    TellsTooEarly,
    /// A destroy that finds a tombstone does not follow it.
    IgnoresTombstones,
    /// A commit that finds no record creates the session again.
    ContinuesAfterDestroy,
    /// A collection lists sessions that have not expired.
    CollectsLiveSessions,
    /// A collection removes the record that it listed without checking it again.
    CollectsWithoutCondition,
}

#[test]
fn mixes_cas() {
    commits_that_queue().finds(Cas, Flaw::MixesCas, NO_LOST_UPDATE);
    saves().finds(Cas, Flaw::MixesCas, NO_LOST_UPDATE);
}

#[test]
fn queues_another_id() {
    tokens_that_are_equal_by_chance().finds(Cas, Flaw::QueuesAnotherId, REPLACED_IDS_STAY_DEAD);
}

#[test]
fn takes_a_refusal_after_a_resend_for_a_conflict() {
    for compare in BOTH {
        commits_that_queue().finds(compare, Flaw::ConflictAfterResend, AT_MOST_ONCE);
    }
}

#[test]
fn creates_again_under_the_same_id() {
    for compare in BOTH {
        let scenario = Scenario::of(&[(0, &[Create, Destroy])], 1, 0);
        scenario.finds(compare, Flaw::CreatesUnderTheSameId, LOGOUT_IS_FINAL);
    }
}

#[test]
fn tells_the_new_id_before_the_old_one_is_dead() {
    for compare in BOTH {
        two_regenerations_and_a_logout().finds(compare, Flaw::TellsTooEarly, ONE_ID);
    }
}

#[test]
fn destroys_without_following_a_tombstone() {
    for compare in BOTH {
        two_regenerations_and_a_logout().finds(compare, Flaw::IgnoresTombstones, LOGOUT_IS_FINAL);
    }
}

#[test]
fn goes_on_with_a_commit_after_a_destroy() {
    for compare in BOTH {
        a_logout().finds(compare, Flaw::ContinuesAfterDestroy, LOGOUT_IS_FINAL);
    }
}

#[test]
fn collects_live_sessions() {
    deadlines().finds(Versions, Flaw::CollectsLiveSessions, NOTHING_IS_LOST);
}

#[test]
fn collects_what_was_written_meanwhile() {
    deadlines().finds(Versions, Flaw::CollectsWithoutCondition, NOTHING_IS_LOST);
}
