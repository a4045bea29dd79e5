//! How a live session becomes a stored one: create, merge and replace, move to a new id, or end.
//!
//! ```text
//!                 nothing to store ──────────────────────────────────────────────► Released
//!                        ▲
//!            release     │      none stored      ┌────────┐ stored
//!  Active ───────────► Busy ───────────────────► │ create │ ─────────────────────► Released (save: Active)
//!                        │                       └────────┘
//!                        │ stored                ┌─────────┐ stored
//!                        └─────────────────────► │ replace │ ───────────────────► Released (save: Active)
//!                                                └─────────┘
//!             only read: slide (touch)            │  ▲   │ Ended, Unknown, time is up
//!             new id:    relocate (rename)        │  │   └───────────────────────► Failed(kind)
//!                               Superseded(newer) ▼  │
//!                                 merge: wait for the turn, apply the changes to `newer`
//! ```
//!
//! Every write is conditional on the record that was read. [`classify`] decides what an outcome means, and nothing
//! else does. The invariants, and what shows each (behaviours are those of the crate `session-conformance`;
//! `commit::model` searches a model of this module completely within bounds):
//!
//! - **A write counts exactly once when it is acknowledged, at most once when it is not.**
//!   `lost_answers::*`, `commit::model::histories::*`,
//!   `commit::model::commits_that_queue_lose_and_repeat_nothing`,
//!   `commit::model::saves_of_one_handle_lose_and_repeat_nothing`.
//! - **A compare token and a version always come from one record, and are used for its id only.**
//!   `commit::model::a_compare_token_is_good_for_its_own_id_only`, `commit::model::flaws::mixes_cas`,
//!   `commit::model::flaws::queues_another_id`.
//! - **What was destroyed or moved is not written to under its old id.** `logout::*`, `regeneration::*`,
//!   `commit::model::a_logout_is_final`,
//!   `commit::model::a_replaced_id_stays_dead_and_its_session_keeps_every_commit`,
//!   `commit::model::of_regenerations_and_a_logout_one_wins_and_nothing_is_left`.
//! - **A new id is told to nobody before the old one is dead.**
//!   `outage::a_regeneration_cut_between_its_writes_loses_nothing`,
//!   `commit::model::flaws::tells_the_new_id_before_the_old_one_is_dead`.
//! - **A create is never sent twice under one id by the core.**
//!   `lost_answers::a_create_is_tried_again_under_another_id`,
//!   `commit::model::a_create_is_there_once_and_ends_once`.
//! - **A collection removes nothing that is live.**
//!   `commit::model::expiry_and_collection_end_nothing_that_is_live`.
//! - **Every request ends.** All of `commit::model`: no search meets a dead end or a cycle.
//! - **What only one request may have is given to the one whose write is applied.** `flash::*`.
//! - **A request that only read is never failed by its end.** `outage::a_failed_touch_fails_no_request`,
//!   `classes::a_request_that_only_reads_is_not_failed_by_a_new_class`.
//! - **Work that has begun is finished when its caller goes away.** `hanging_up::*`.

mod accounts;
mod claim;
mod classify;
mod collect;
mod create;
mod destroy;
mod detach;
mod find;
mod limit;
mod merge;
#[cfg(test)]
mod model;
mod next;
mod release;
mod reload;
mod relocate;
mod replace;
mod slide;

pub(crate) use accounts::{end_by_handle, end_others, end_owner, handle_of, list, require_index};
pub(crate) use claim::claim;
pub(crate) use collect::{collect, ensure as ensure_collecting, stop as stop_collecting};
pub(crate) use destroy::end;
pub(crate) use detach::detached;
pub(crate) use find::{Trust, find, find_at_once};
pub(crate) use release::{Create, Releasing, Then, destroy, release, settled};
pub(crate) use reload::{fresh, reload};

use crate::id::StorageId;
use crate::shared::{Begun, Operation, Shared, with_deadline};

/// Removes what an attempt that was not heard may have left under an id that nobody was told. It would end by
/// itself, so that a failure here is no reason to fail.
async fn withdraw(shared: &Shared, operation: &Operation, id: &StorageId) {
    let _ = with_deadline(Begun::No, || operation.end(), shared.provider.destroy(id, None)).await;
}
