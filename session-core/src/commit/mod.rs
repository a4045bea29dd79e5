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
//! Every write is conditional on the record that was read. Only [`classify`] decides what an
//! outcome means. The invariants, and the tests that show each (behaviours are those of the crate
//! `session-conformance`; `commit::model` exhaustively searches a bounded model of this module):
//!
//! - **A write counts exactly once when it is acknowledged, at most once when it is not.**
//!   `lost_answers::*`, `commit::model::histories::*`,
//!   `commit::model::commits_that_queue_lose_and_repeat_nothing`,
//!   `commit::model::saves_of_one_handle_lose_and_repeat_nothing`.
//! - **A compare token and a version always come from the same record, and are used for its id
//!   only.** `commit::model::a_compare_token_is_good_for_its_own_id_only`,
//!   `commit::model::flaws::mixes_cas`, `commit::model::flaws::queues_another_id`.
//! - **A destroyed or moved session is never written under its old id.** `logout::*`,
//!   `regeneration::*`, `commit::model::a_logout_is_final`,
//!   `commit::model::a_replaced_id_stays_dead_and_its_session_keeps_every_commit`,
//!   `commit::model::of_regenerations_and_a_logout_one_wins_and_nothing_is_left`.
//! - **No client learns a new id before the old one is dead.**
//!   `outage::a_regeneration_cut_between_its_writes_loses_nothing`,
//!   `commit::model::flaws::tells_the_new_id_before_the_old_one_is_dead`.
//! - **The core never sends a create twice under one id.**
//!   `lost_answers::a_create_is_tried_again_under_another_id`,
//!   `commit::model::a_create_is_there_once_and_ends_once`.
//! - **A collection removes no live session.**
//!   `commit::model::expiry_and_collection_end_nothing_that_is_live`.
//! - **Every request ends.** All of `commit::model`: no search reaches a dead end or a cycle.
//! - **A value that only one request may take goes to the request whose write is applied.**
//!   `flash::*`.
//! - **A request that only reads is never failed by its release.**
//!   `outage::a_failed_touch_fails_no_request`,
//!   `classes::a_request_that_only_reads_is_not_failed_by_a_new_class`.
//! - **Work that has begun is finished even when its caller goes away.** `hanging_up::*`.

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

/// Removes what an unanswered attempt may have left under an id that no client knows. The record
/// would expire anyway, so a failure here is ignored.
async fn withdraw(shared: &Shared, operation: &Operation, id: &StorageId) {
    let _ = with_deadline(Begun::No, || operation.end(), shared.provider.destroy(id, None)).await;
}
