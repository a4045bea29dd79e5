//! The list of all behaviours, and the macro that generates tests from it.

/// Generates one `#[test]` for each behaviour, in a module for each group, so that a failure reads
/// `regeneration::of_two_at_once_one_wins`.
///
/// The expression creates a [`Harness`](crate::Harness) and is evaluated in every test. Attributes
/// before it apply to every test:
///
/// ```ignore
/// session_conformance::suite!(#[ignore = "needs a server: cargo xtask test"] MyHarness::new());
/// ```
///
/// For several configurations of one engine, use several modules, each with its own `suite!`. An
/// engine that stores the record on the client writes `suite!(client_side: …)` and gets the
/// behaviours for such engines.
#[macro_export]
macro_rules! suite {
    (client_side: $harness:expr) => {
        $crate::__client_side_behaviours! { __tests [] [$harness] }
    };
    // One attribute at a time, since an expression may also begin with `#`.
    (#[$attribute:meta] $($rest:tt)*) => {
        $crate::suite! { @[#[$attribute]] $($rest)* }
    };
    (@[$($attributes:tt)*] #[$attribute:meta] $($rest:tt)*) => {
        $crate::suite! { @[$($attributes)* #[$attribute]] $($rest)* }
    };
    (@[$($attributes:tt)*] $harness:expr) => {
        $crate::__behaviours! { __tests [$($attributes)*] [$harness] }
    };
    ($harness:expr) => {
        $crate::__behaviours! { __tests [] [$harness] }
    };
}

/// Generates one `#[test]`, in a module `histories`, that lets many clients use sessions over an
/// unreliable connection and checks every result; see [`histories`](mod@crate::histories).
/// Attributes and the harness are those of [`suite!`](crate::suite):
///
/// ```ignore
/// session_conformance::histories!(#[ignore = "needs a server: cargo xtask test"] MyHarness::new());
/// ```
///
/// For engines that store records on a server. Client-side engines guarantee less.
#[macro_export]
macro_rules! histories {
    (#[$attribute:meta] $($rest:tt)*) => {
        $crate::histories! { @[#[$attribute]] $($rest)* }
    };
    (@[$($attributes:tt)*] #[$attribute:meta] $($rest:tt)*) => {
        $crate::histories! { @[$($attributes)* #[$attribute]] $($rest)* }
    };
    (@[$($attributes:tt)*] $harness:expr) => {
        mod histories {
            #[allow(unused_imports)]
            use super::*;

            $($attributes)*
            #[test]
            fn every_result_of_the_clients_can_be_explained() {
                $crate::histories::run(|| $harness);
            }
        }
    };
    ($harness:expr) => {
        $crate::histories! { @[] $harness }
    };
}

/// Tests, or the list of names and functions.
#[doc(hidden)]
#[macro_export]
macro_rules! __expand {
    (__tests $attributes:tt $harness:tt $($group:ident { $($name:ident,)+ })+) => {
        $($crate::__expand! { __group $attributes $harness $group $($name)+ })+
    };
    (__group $attributes:tt $harness:tt $group:ident $($name:ident)+) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;
            $($crate::__expand! { __test $attributes $harness $group $name })+
        }
    };
    (__test [$($attribute:tt)*] [$harness:expr] $group:ident $name:ident) => {
        $($attribute)*
        #[test]
        fn $name() {
            $crate::run(|| $harness, $crate::behaviours::$group::$name);
        }
    };
    (__list [$harness:ty] $($group:ident { $($name:ident,)+ })+) => {
        &[$($((
            concat!(stringify!($group), "::", stringify!($name)),
            |harness: $harness| $crate::run(|| harness, $crate::behaviours::$group::$name),
        ),)+)+]
    };
}

/// Behaviours of server-side engines.
#[doc(hidden)]
#[macro_export]
macro_rules! __behaviours {
    ($($mode:tt)*) => {
        $crate::__expand! { $($mode)*
            conditional {
                a_create_needs_an_unused_id,
                what_is_written_is_read,
                a_session_without_keys_is_kept,
                a_replace_needs_the_version_that_was_read,
                a_replace_over_what_was_just_written_needs_no_read,
                a_replace_never_creates,
                a_stamp_without_the_engines_token_compares_the_version,
                a_write_that_is_sent_twice_is_recognised_by_its_version,
                of_many_creates_at_once_one_is_stored,
                of_many_replaces_at_once_one_is_stored,
                two_handles_see_one_store,
                every_session_keeps_its_own_record,
                plain_ids_are_used_unchanged,
            }
            ending {
                a_destroyed_session_is_gone_for_every_method,
                a_destroy_of_nothing_is_not_an_error,
                a_destroy_with_an_old_stamp_is_refused,
                a_destroy_without_a_stamp_removes_any_version,
                a_destroyed_id_is_unused,
                a_destroy_and_a_write_at_once_leave_no_half_session,
            }
            renaming {
                a_rename_moves_a_session,
                a_destroy_of_the_old_id_names_the_new_one,
                a_rename_over_an_old_version_is_refused,
                a_rename_of_nothing_is_refused,
                a_rename_that_is_sent_twice_is_done_once,
                a_rename_that_is_sent_again_after_a_logout_revives_nothing,
                a_rename_to_a_taken_id_harms_no_session,
                of_two_renames_at_once_one_is_done,
                a_rename_during_a_write_or_a_logout,
            }
            expiry {
                an_expired_session_is_gone_for_every_method,
                an_expired_session_is_not_renamed,
                an_expired_id_is_unused,
                every_write_carries_its_lifetime,
                a_touch_moves_the_deadline_and_not_the_version,
                a_read_slides_as_declared,
                exists_and_count_do_not_extend_deadlines,
                a_tombstone_ends,
                the_shortest_lifetime_is_not_forever,
                a_long_lifetime_is_not_short,
                the_deadline_is_exact_on_the_cores_clock,
            }
            collection {
                the_count_is_of_sessions,
                only_expired_records_are_collected,
                a_manager_collects_expired_sessions,
                the_collecting_task_ends_with_its_manager,
            }
            nothing {
                a_session_that_was_never_written_to_is_not_stored,
                an_untouched_request_makes_no_call,
                an_unchanged_session_is_not_rewritten,
                a_new_session_that_is_empty_again_is_not_stored,
                a_release_if_present_creates_nothing,
                a_stale_cookie_is_left_alone,
                a_cookie_is_sent_only_when_it_changes,
                writes_that_extend_the_deadline_are_throttled,
            }
            round_trips {
                a_create_is_one_call,
                a_load_is_one_call_however_many_ask,
                a_read_modify_write_is_two_calls,
                a_conflict_costs_one_more_call,
                a_destroy_is_one_call,
                a_regeneration_is_one_rename,
                a_replaced_id_is_one_call,
                a_new_visitor_costs_nothing,
            }
            identity {
                an_unknown_id_is_never_adopted,
                an_ended_id_is_never_used_again,
                a_malformed_id_never_reaches_the_engine,
                the_store_knows_only_hashes,
                every_session_has_its_own_id,
                of_several_cookies_the_one_live_session_is_used,
                of_two_live_sessions_none_is_used,
                a_login_of_an_ambiguous_client_ends_the_others,
                a_load_says_what_it_found,
                a_session_is_found_by_every_process,
            }
            merging {
                different_keys_are_all_kept,
                five_workers_count_to_fifty,
                the_last_to_be_released_wins,
                forty_overlapping_updates_count_forty,
                of_two_sets_of_one_key_the_last_wins,
                deletes_and_flushes_are_merged_too,
                of_two_that_take_one_value_one_gets_it,
                after_the_release_the_handle_shows_what_was_committed,
                the_untyped_store_is_the_same_session,
            }
            flash {
                a_message_is_shown_once_after_any_number_of_redirects,
                messages_keep_their_order_level_and_type,
                a_message_survives_a_sign_in_and_follows_a_logout,
                a_page_without_messages_costs_nothing,
                a_message_that_is_shown_by_its_own_request_is_not_stored,
                a_message_of_another_type_is_dropped,
                a_client_that_shows_nothing_keeps_the_newest_messages,
                of_pages_at_the_same_time_one_shows_a_message,
                messages_of_requests_at_the_same_time_are_all_kept,
                taking_is_one_write_and_leaves_other_changes_to_the_release,
                a_pages_changes_are_merged_with_those_of_others,
                a_session_that_ended_meanwhile_has_nothing_to_show,
                an_engine_that_is_down_keeps_the_messages,
                a_lost_response_shows_a_message_at_most_once,
            }
            csrf {
                a_token_is_valid_for_its_session_only,
                every_token_has_a_different_text,
                a_sign_in_invalidates_earlier_tokens,
                the_librarys_own_keys_are_not_listed,
                first_tokens_of_concurrent_pages_are_all_valid,
            }
            logout {
                a_destroyed_session_cannot_be_replayed,
                logout_is_not_undone_by_a_request_in_flight,
                a_late_release_touches_no_cookie,
                a_logout_ends_what_others_changed_meanwhile,
                after_a_logout_a_new_session_may_begin,
                a_logout_after_a_release_removes_the_cookie,
                a_logout_with_a_replaced_id_ends_the_session,
                a_session_of_one_request_leaves_nothing,
                a_login_beside_a_logout_is_untouched,
            }
            regeneration {
                a_new_id_keeps_the_data_and_kills_the_old_id,
                a_manager_regenerates_by_token,
                a_late_release_under_the_old_id_stores_nothing,
                a_late_request_with_the_old_id_does_not_overwrite_the_new_cookie,
                a_write_that_came_first_moves_along,
                a_logout_follows_the_new_id,
                of_two_at_once_one_wins,
                beside_a_logout_nothing_is_left,
                after_a_logout_nothing_comes_back,
                of_a_new_session_is_a_create,
            }
            deadlines {
                a_session_ends_after_its_idle_time,
                use_keeps_a_session_alive,
                activity_does_not_extend_the_absolute_deadline,
                every_write_ends_at_the_absolute_deadline,
                a_release_past_the_idle_deadline_is_expired,
                a_release_past_the_absolute_deadline_is_expired,
                the_core_checks_the_absolute_deadline_itself,
            }
            classes {
                a_class_has_its_own_idle_timeout,
                a_class_cannot_be_forged,
                changing_the_class_regenerates,
                visitors_without_an_owner_end_sooner,
                the_owner_is_stored_outside_the_body,
                a_class_has_its_own_absolute_timeout,
                a_class_that_comes_or_goes_logs_nobody_out,
                a_request_that_only_reads_is_not_failed_by_a_new_class,
            }
            limits {
                a_session_keeps_its_limits,
                a_merge_keeps_the_limits_too,
                a_large_record_is_kept_or_refused_whole,
                a_value_of_another_type_is_an_error_and_is_kept,
            }
            unreadable {
                a_damaged_record_is_an_error_that_can_be_removed,
                a_damaged_record_gives_a_fresh_session,
                a_newer_record_is_unsupported_and_left_alone,
                hostile_bytes_never_panic,
            }
            outage {
                a_failing_engine_logs_nobody_in,
                a_change_that_cannot_be_stored_is_an_error,
                a_logout_that_fails_says_so,
                a_failed_regeneration_loses_nothing,
                a_regeneration_cut_between_its_writes_loses_nothing,
                a_failed_touch_fails_no_request,
                a_commit_behind_a_call_that_hangs_is_unavailable,
                one_refused_call_is_retried,
                the_collecting_task_survives_an_outage,
            }
            lost_answers {
                one_lost_answer_counts_once,
                when_all_answers_are_lost_it_counts_at_most_once,
                others_write_before_the_second_try,
                a_logout_before_the_second_try_is_unknown,
                what_never_arrived_is_merged_at_the_second_try,
                a_take_whose_answer_is_lost_is_taken_once,
                a_create_is_tried_again_under_another_id,
                a_logout_whose_answer_is_lost_is_a_logout,
                a_regeneration_whose_answer_is_lost_is_done_once,
                a_regeneration_whose_answer_comes_with_the_second_try_is_done_once,
                a_logout_before_the_second_try_of_a_regeneration_holds,
                a_late_update_changes_nothing,
                a_late_create_brings_nobody_back,
                a_late_regeneration_brings_nobody_back,
            }
            cancellation {
                a_dropped_read_mixes_nothing_up,
                a_dropped_write_is_done_or_not,
                a_dropped_end_or_move_is_done_or_not,
                a_dropped_collection_is_harmless,
                many_dropped_reads_at_once_mix_nothing_up,
            }
            hanging_up {
                a_release_that_has_begun_is_finished,
                a_merge_that_has_begun_is_finished,
                what_was_not_released_is_not_stored,
                a_create_that_has_begun_is_finished,
                a_logout_that_has_begun_is_finished,
                a_regeneration_that_has_begun_is_finished,
                a_cancelled_load_does_not_affect_other_callers,
                a_panic_in_a_handler_stores_nothing,
                a_panic_in_an_update_stores_nothing,
                a_panic_beside_a_release_does_not_stop_it,
                a_panic_in_an_engine_leaves_nothing_stuck,
            }
            orders {
                two_updates_count_two,
                two_sets_are_both_kept,
                of_two_takes_one_gets_it,
                an_update_beside_a_logout_leaves_nothing,
                a_touch_beside_a_logout_leaves_nothing,
                two_logouts_end_one_session,
                an_update_beside_a_regeneration_is_kept_or_refused,
                of_two_regenerations_one_wins,
                a_regeneration_beside_a_logout_leaves_nothing,
            }
            privacy {
                no_token_in_debug_output,
                no_token_in_errors,
            }
            handles {
                a_save_stores_and_the_handle_remains_usable,
                a_save_merges,
                a_new_id_that_was_saved_reaches_the_client,
                a_handle_that_outlives_its_request_reloads_and_saves,
                a_handle_that_outlives_its_request_gets_no_new_id,
                fresh_shows_what_is_stored_and_keeps_changes,
                a_release_beside_fresh_stores_everything,
                after_its_end_a_request_loads_nothing,
                an_abandoned_request_stores_nothing,
            }
            renewal {
                a_sign_in_begins_a_new_absolute_time,
                a_renewed_id_still_works_for_a_while,
                an_id_is_not_renewed_where_nobody_tells_the_client,
                requests_beside_a_renewal_lose_nothing,
                a_logout_within_the_grace_ends_all,
                an_id_that_is_used_after_its_grace_is_dead,
                a_sign_in_has_no_grace,
            }
            lifetimes {
                a_lifetime_beyond_the_range_of_numbers_is_long,
                no_write_outlives_the_absolute_deadline,
                no_touch_outlives_the_absolute_deadline,
                a_refused_call_changes_no_deadline,
                a_rename_lengthens_a_lifetime,
                a_tombstone_lasts_a_minute,
            }
            records {
                what_a_rename_writes_is_read,
                a_touch_brings_no_older_values_back,
                a_create_over_a_tombstone_is_refused,
                a_create_over_unreadable_bytes_is_not_stored,
            }
            leftovers {
                tombstones_are_collected_too,
                a_collection_accepts_any_limit,
                another_namespace_is_left_alone,
            }
            answers {
                a_lost_response_is_not_reported_as_unchanged,
                an_engines_errors_show_no_id_and_no_value,
            }
            workers {
                no_call_sleeps_on_its_worker,
            }
            stamps {
                a_write_of_another_process_survives_a_lost_response,
                a_replaced_id_stays_dead_after_a_lost_response,
                a_logout_after_a_lost_response_ends_the_session,
            }
            owners {
                an_engine_has_the_index_that_it_declares,
                a_list_has_each_session_of_its_owner_once,
                a_write_moves_a_session_to_its_owner,
                a_rename_moves_the_entry,
                a_list_has_only_live_sessions,
                the_sessions_of_an_owner_end_together,
                an_index_loses_nothing_under_load,
                a_scan_returns_every_record,
            }
            accounts {
                without_an_index_the_user_is_told,
                a_user_sees_where_they_are_signed_in,
                a_handle_outlives_the_id,
                one_device_is_signed_out,
                a_change_of_password_ends_the_others,
                a_user_is_signed_out_everywhere,
                a_sign_in_beside_end_all_is_ended_or_listed,
                a_regeneration_beside_end_all_leaves_nothing,
                a_lost_answer_hides_no_session,
                an_end_that_failed_half_way_can_be_continued,
                a_limit_ends_the_oldest,
                a_limit_refuses_the_next,
                a_proof_of_identity_is_fresh_for_a_while,
            }
        }
    };
}

/// Behaviours of client-side engines: the common ones, and their own.
#[doc(hidden)]
#[macro_export]
macro_rules! __client_side_behaviours {
    ($($mode:tt)*) => {
        $crate::__expand! { $($mode)*
            client_side {
                every_write_gives_a_token,
                there_is_nothing_to_count_or_to_collect,
                a_release_gives_the_client_the_new_record,
                fresh_keeps_changes,
                of_two_tokens_of_one_session_the_newer_is_used,
                a_sign_in_of_an_ambiguous_client_is_the_session_that_is_used,
                a_handle_that_outlives_its_request_stores_nothing,
                of_two_requests_at_once_the_last_response_wins,
                a_logout_removes_the_cookie,
                a_logout_after_a_release_removes_the_cookie,
                a_logout_ends_copies_as_declared,
                a_new_id_ends_the_old_token_as_declared,
                a_changed_token_is_not_a_session,
                a_token_ends_after_its_idle_time,
                use_gives_a_token_with_a_later_deadline,
                a_release_past_a_deadline_is_expired,
                a_session_that_is_too_large_is_refused,
                idle_classes_are_refused,
            }
            nothing {
                a_session_that_was_never_written_to_is_not_stored,
                an_untouched_request_makes_no_call,
                an_unchanged_session_is_not_rewritten,
                a_new_session_that_is_empty_again_is_not_stored,
                a_release_if_present_creates_nothing,
                a_stale_cookie_is_left_alone,
                a_cookie_is_sent_only_when_it_changes,
            }
            identity {
                an_unknown_id_is_never_adopted,
                every_session_has_its_own_id,
                of_several_cookies_the_one_live_session_is_used,
            }
            deadlines {
                activity_does_not_extend_the_absolute_deadline,
                every_write_ends_at_the_absolute_deadline,
                a_release_past_the_absolute_deadline_is_expired,
            }
            limits {
                a_session_keeps_its_limits,
                a_value_of_another_type_is_an_error_and_is_kept,
            }
            regeneration {
                of_a_new_session_is_a_create,
            }
            hanging_up {
                what_was_not_released_is_not_stored,
                a_create_that_has_begun_is_finished,
                a_cancelled_load_does_not_affect_other_callers,
                a_panic_in_a_handler_stores_nothing,
            }
            flash {
                a_message_is_shown_once_after_any_number_of_redirects,
                messages_keep_their_order_level_and_type,
                a_message_survives_a_sign_in_and_follows_a_logout,
                a_page_without_messages_costs_nothing,
                a_message_that_is_shown_by_its_own_request_is_not_stored,
                a_message_of_another_type_is_dropped,
                a_client_that_shows_nothing_keeps_the_newest_messages,
            }
            csrf {
                a_token_is_valid_for_its_session_only,
                every_token_has_a_different_text,
                a_sign_in_invalidates_earlier_tokens,
                the_librarys_own_keys_are_not_listed,
            }
            privacy {
                no_token_in_debug_output,
            }
            owners {
                an_engine_has_the_index_that_it_declares,
            }
            accounts {
                without_an_index_the_user_is_told,
                a_proof_of_identity_is_fresh_for_a_while,
            }
            ended_together {
                all_sessions_of_a_user_end,
                they_end_together_and_are_not_listed,
                a_sign_in_beside_end_all_is_not_missed,
                a_write_beside_end_all_leaves_nothing,
                a_session_follows_its_owner,
            }
        }
    };
}
