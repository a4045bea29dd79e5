//! The properties that hold in every state of the model.

use std::collections::BTreeSet;

use super::store::{Id, Rec, Slot};
use super::world::World;

/// Returns the property that this state breaks.
pub(super) fn broken(world: &World) -> Option<&'static str> {
    let records = || world.slots.iter().filter_map(|slot| slot.record.as_ref());
    if records().any(|record| record.counts.iter().any(|count| *count > 1)) {
        return Some(AT_MOST_ONCE);
    }
    if world.slots.iter().any(|slot| slot.replaced && slot.live().is_some()) {
        return Some(REPLACED_IDS_STAY_DEAD);
    }
    let reachable = reachable(world);
    let live = |session: u8| {
        reachable
            .iter()
            .filter_map(|id| world.slots[usize::from(*id)].live())
            .filter(move |it| it.session == session)
    };
    for (number, ended) in world.ended.iter().enumerate() {
        let session = u8::try_from(number).unwrap_or(u8::MAX);
        let disclosed = world.slots.iter().filter(|slot| slot.disclosed).filter_map(Slot::live);
        let disclosed: Vec<&Rec> = disclosed.filter(|record| record.session == session).collect();
        if *ended && live(session).next().is_some() {
            return Some(LOGOUT_IS_FINAL);
        }
        if disclosed.len() > 1 {
            return Some(ONE_ID);
        }
        // After a tombstone has expired, a client with the old id cannot find its session.
        let is_over = world.destroyed[number] || world.expired[number] || world.tombstone_expired;
        if world.known[number] && !is_over && live(session).next().is_none() {
            return Some(NOTHING_IS_LOST);
        }
        let acked = |record: &Rec| {
            let applied =
                |(change, of): (usize, &Option<u8>)| *of != Some(session) || record.counts[change] == 1;
            world.acked.iter().enumerate().all(applied)
        };
        if !*ended && !live(session).all(acked) {
            return Some(NO_LOST_UPDATE);
        }
    }
    None
}

pub(super) const AT_MOST_ONCE: &str = "a change is applied at most once";
pub(super) const REPLACED_IDS_STAY_DEAD: &str = "an id that was replaced is never live again";
pub(super) const LOGOUT_IS_FINAL: &str = "after an acknowledged logout nothing is live";
pub(super) const ONE_ID: &str = "a client knows at most one live id of a session";
pub(super) const NOTHING_IS_LOST: &str = "a session that was not ended exists";
pub(super) const NO_LOST_UPDATE: &str = "an acknowledged change is applied exactly once";

/// Returns the ids that clients know, and those that tombstones under them lead to.
fn reachable(world: &World) -> BTreeSet<Id> {
    let mut found = BTreeSet::new();
    let disclosed = |(id, slot): (usize, &Slot)| slot.disclosed.then(|| Id::try_from(id).unwrap_or(Id::MAX));
    let mut next: Vec<Id> = world.slots.iter().enumerate().filter_map(disclosed).collect();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let moved = world.slots[usize::from(id)].visible().and_then(|record| record.moved);
            next.extend(moved);
        }
    }
    found
}
