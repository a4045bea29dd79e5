//! What must hold in every state of the model.

use std::collections::BTreeSet;

use super::store::{Id, Rec, Slot};
use super::world::World;

/// The property that this state breaks.
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
        let told = world.slots.iter().filter(|slot| slot.told).filter_map(Slot::live);
        let told: Vec<&Rec> = told.filter(|record| record.session == session).collect();
        if *ended && live(session).next().is_some() {
            return Some(LOGOUT_IS_FINAL);
        }
        if told.len() > 1 {
            return Some(ONE_ID);
        }
        // What an expired tombstone led to is found by those who were told.
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
pub(super) const ONE_ID: &str = "a session has one live id that anybody was told";
pub(super) const NOTHING_IS_LOST: &str = "a session that nobody ended is there";
pub(super) const NO_LOST_UPDATE: &str = "an acknowledged change is applied exactly once";

/// The ids that clients were told, and those that a tombstone under one of them leads to.
fn reachable(world: &World) -> BTreeSet<Id> {
    let mut found = BTreeSet::new();
    let told = |(id, slot): (usize, &Slot)| slot.told.then(|| Id::try_from(id).unwrap_or(Id::MAX));
    let mut next: Vec<Id> = world.slots.iter().enumerate().filter_map(told).collect();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let moved = world.slots[usize::from(id)].visible().and_then(|record| record.moved);
            next.extend(moved);
        }
    }
    found
}
