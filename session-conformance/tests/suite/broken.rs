//! The suite is worth what it catches: each of these providers is broken in one way, and behaviours
//! say so by name.

use std::collections::HashSet;

use crate::support::{Example, Flaw, Kind};

pub type Behaviour = (&'static str, fn(Example));

pub const BEHAVIOURS: &[Behaviour] = session_conformance::__behaviours!(__list[Example]);

/// Whether a provider fails this behaviour.
fn fails(behaviour: &str, flaw: Flaw) -> bool {
    let (_, run) = BEHAVIOURS.iter().find(|(name, _)| *name == behaviour).expect("a behaviour of this name");
    let run = *run;
    std::thread::spawn(move || run(Example::with(Kind::default(), flaw))).join().is_err()
}

macro_rules! caught {
    ($($test:ident: $flaw:ident by $($behaviour:literal),+;)+) => {$(
        #[test]
        fn $test() {
            for behaviour in [$($behaviour),+] {
                assert!(fails(behaviour, Flaw::$flaw), "{behaviour} must catch {:?}", Flaw::$flaw);
            }
        }
    )+};
}

caught! {
    a_lost_update: LosesUpdates by
        "conditional::a_replace_needs_the_version_that_was_read",
        "conditional::of_many_replaces_at_once_one_is_stored",
        "merging::forty_overlapping_updates_count_forty",
        "flash::of_pages_at_the_same_time_one_shows_a_message",
        "orders::two_updates_count_two";
    a_check_that_is_not_one_step_with_its_write: ChecksThenWrites by
        "conditional::of_many_replaces_at_once_one_is_stored",
        "merging::forty_overlapping_updates_count_forty";
    a_resurrection: Resurrects by
        "conditional::a_replace_never_creates",
        "ending::a_destroyed_session_is_gone_for_every_method",
        "logout::logout_is_not_undone_by_a_request_in_flight",
        "orders::an_update_beside_a_logout_leaves_nothing";
    an_expired_session_that_is_served: ServesExpired by
        "expiry::an_expired_session_is_gone_for_every_method",
        "deadlines::a_session_ends_after_its_idle_time";
    a_late_write_that_revives: RevivesExpired by
        "expiry::an_expired_session_is_gone_for_every_method",
        "deadlines::a_release_past_the_idle_deadline_is_expired";
    a_touch_that_revives: TouchRevives by "expiry::an_expired_session_is_gone_for_every_method";
    a_touch_that_disturbs_writers: TouchRewrites by "expiry::a_touch_moves_the_deadline_and_not_the_version";
    an_id_that_is_adopted: AdoptsIds by
        "identity::an_unknown_id_is_never_adopted",
        "round_trips::a_new_visitor_costs_nothing";
    an_update_that_is_counted_twice_after_a_lost_answer: ForgetsTokens by
        "conditional::a_write_that_is_sent_twice_is_recognised_by_its_version",
        "lost_answers::others_write_before_the_second_try";
    a_refusal_that_shows_nothing: RefusesBlindly by
        "conditional::a_replace_needs_the_version_that_was_read",
        "merging::of_two_sets_of_one_key_the_last_wins";
    a_lifetime_that_is_swallowed: SwallowsLifetimes by
        "expiry::every_write_carries_its_lifetime",
        "deadlines::use_keeps_a_session_alive";
    a_lifetime_that_is_taken_for_a_date: TakesDaysForADate by "expiry::a_long_lifetime_is_not_short";
    a_lifetime_that_is_rounded_to_for_ever: RoundsDown by "expiry::the_shortest_lifetime_is_not_for_ever";
    a_read_that_slides_in_secret: SlidesInSecret by "expiry::a_read_slides_as_declared";
    an_exists_that_slides: ExistsSlides by "expiry::asking_and_counting_do_not_slide";
    a_write_that_is_lost_at_a_regeneration: RenameLosesWrites by
        "renaming::a_rename_over_an_old_version_is_refused",
        "regeneration::a_write_that_came_first_moves_along",
        "orders::an_update_beside_a_regeneration_is_kept_or_refused";
    an_old_id_that_stays_alive: RenameCopies by
        "renaming::a_rename_moves_a_session",
        "regeneration::a_new_id_keeps_the_data_and_kills_the_old_id";
    a_rename_that_does_not_know_itself: RenamesOnce by "renaming::a_rename_that_is_sent_twice_is_done_once";
    a_refused_rename_that_leaves_a_session: RenameLeavesRubbish by
        "renaming::a_rename_over_an_old_version_is_refused",
        "regeneration::a_write_that_came_first_moves_along";
    a_tombstone_that_is_destroyed: DestroysTombstones by
        "renaming::a_destroy_of_the_old_id_names_the_new_one",
        "regeneration::a_logout_follows_the_new_id";
    a_destroy_without_a_look: DestroysBlindly by "ending::a_destroy_with_an_old_stamp_is_refused";
    an_unreadable_record_that_stays: KeepsUnreadable by
        "unreadable::a_damaged_record_is_an_error_that_can_be_removed",
        "unreadable::a_damaged_record_gives_a_fresh_session";
    a_tombstone_that_is_counted: CountsTombstones by
        "collection::the_count_is_of_sessions",
        "renaming::a_rename_moves_a_session";
    a_collection_of_the_living: CollectsTheLiving by "collection::only_what_has_expired_is_collected";
    a_collection_without_a_limit: CollectsWithoutLimit by "collection::only_what_has_expired_is_collected";
    a_collection_of_nothing: CollectsNothing by
        "collection::only_what_has_expired_is_collected",
        "collection::a_manager_collects_what_has_expired";
    two_ids_that_are_one: CutsIds by "conditional::every_session_keeps_its_own_record";
    an_owner_that_is_lost: DropsOwners by
        "conditional::what_is_written_is_read",
        "classes::the_owner_is_kept_beside_the_body";
    an_unreadable_record_that_looks_like_none: HidesUnreadable by
        "unreadable::a_damaged_record_is_an_error_that_can_be_removed",
        "unreadable::a_newer_record_is_unsupported_and_left_alone";
    a_newer_record_that_is_thrown_away: MistakesNewer by
        "unreadable::a_newer_record_is_unsupported_and_left_alone";
    a_dropped_read_whose_answer_somebody_else_gets: MixesAnswersUp by
        "cancellation::a_dropped_read_mixes_nothing_up",
        "cancellation::many_dropped_reads_at_once_mix_nothing_up";
    a_dropped_write_that_leaves_half_a_record: WritesHalf by
        "cancellation::a_dropped_write_is_done_or_not";
    an_id_that_is_shown: ShowsIds by "privacy::no_token_in_debug_output";
    a_list_of_everybody: ListsStrangers by
        "owners::a_list_has_each_session_of_its_owner_once",
        "accounts::a_user_sees_where_they_are_signed_in";
    a_page_that_repeats_a_session: ListsTwice by "owners::a_list_has_each_session_of_its_owner_once";
    a_list_that_slides: ListSlides by "owners::a_list_has_only_what_lives";
    an_end_of_the_first_page: EndsTheFirstPage by
        "owners::the_sessions_of_an_owner_end_together",
        "accounts::a_user_is_signed_out_everywhere";
    a_walk_past_what_was_moved: WalksPastMoved by "owners::a_walk_meets_every_record";
    a_collection_that_keeps_tombstones: KeepsTombstones by "leftovers::tombstones_are_collected_too";
    a_collection_of_the_neighbours: CollectsNeighbours by "leftovers::another_place_is_left_alone";
    two_places_that_are_one: SharesPlaces by "leftovers::another_place_is_left_alone";
    a_limit_that_overflows: OverflowsLimits by "leftovers::a_collection_takes_any_limit";
    a_create_over_a_corrupt_record: CreatesOverCorrupt by
        "records::a_create_over_what_cannot_be_read_is_not_stored";
    a_create_over_a_tombstone: CreatesOverTombstones by "records::a_create_over_a_tombstone_is_refused";
    a_lifetime_that_overflows: OverflowsLifetimes by "lifetimes::a_lifetime_beyond_all_numbers_is_long";
    a_write_past_the_absolute_deadline: WritesPastTheEnd by
        "lifetimes::no_write_outlives_the_absolute_deadline";
    a_touch_past_the_absolute_deadline: TouchesPastTheEnd by
        "lifetimes::no_touch_outlives_the_absolute_deadline";
    a_refusal_that_moves_the_deadline: RefusalsSlide by "lifetimes::what_is_refused_moves_no_deadline";
    a_rename_that_keeps_the_deadline: RenameKeepsDeadline by
        "expiry::every_write_carries_its_lifetime",
        "lifetimes::a_rename_lengthens_a_lifetime";
    a_rename_that_keeps_the_owner: RenameKeepsOwner by "records::what_a_rename_writes_is_read";
    a_tombstone_that_never_ends: TombstonesForEver by "lifetimes::a_tombstone_lasts_a_minute";
    a_tombstone_that_ends_at_once: TombstonesEndAtOnce by
        "lifetimes::a_tombstone_lasts_a_minute",
        "renaming::a_destroy_of_the_old_id_names_the_new_one";
    a_tombstone_that_exists: FindsTombstones by "renaming::a_rename_moves_a_session";
    a_tombstone_that_is_touched: TouchesTombstones by "renaming::a_rename_moves_a_session";
    a_touch_that_writes_back: TouchWritesBack by "records::a_touch_brings_no_older_values_back";
    a_call_that_blocks: Blocks by "workers::no_call_sleeps_on_its_worker";
    a_lost_answer_that_is_no_change: ClaimsNothingChanged by
        "answers::an_answer_that_was_cut_off_is_not_nothing_changed";
    an_id_in_an_error: ErrorsShowIds by "answers::an_engines_errors_show_no_id_and_no_value";
    a_record_in_an_error: ErrorsShowRecords by
        "answers::an_engines_errors_show_no_id_and_no_value";
}

#[test]
fn there_are_more_than_sixty_behaviours_and_no_two_of_one_name() {
    let names: HashSet<_> = BEHAVIOURS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), BEHAVIOURS.len());
    assert!(names.len() > 60);
}
