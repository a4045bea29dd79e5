//! The list of the behaviours of adapters, and the macro that makes tests of it.

/// Makes one `#[test]` of each behaviour of an [`Adapter`](crate::http::Adapter), in a module for each group, so that a
/// failure reads `endings::a_handler_that_a_timeout_cancels_stores_nothing`.
#[macro_export]
macro_rules! http_suite {
    ($adapter:ty) => {
        $crate::__http_tests! { [$adapter]
            lifecycle {
                a_session_begins_with_the_first_write_and_goes_on_with_its_cookie,
                an_untouched_request_does_no_io_and_its_response_is_left_alone,
                a_visitor_who_is_only_looked_at_is_not_stored,
                all_extractors_and_middleware_of_a_request_share_one_load_and_one_session,
                a_login_gets_a_new_id_in_one_cookie_and_the_old_one_is_dead,
                and_20_a_logout_ends_the_session_and_removes_the_cookie_in_one_round_trip,
                a_logout_after_a_regeneration_removes_the_cookie,
                a_session_survives_in_several_cookie_headers_among_other_cookies,
                forty_overlapping_counters_count_forty_and_answer_forty_numbers,
                a_session_that_a_request_began_and_ended_leaves_no_cookie,
                a_late_request_with_the_replaced_id_does_not_overwrite_the_cookie_of_the_login,
                a_handler_can_tell_an_expired_session_from_a_new_visitor,
                an_optional_session_is_none_for_a_visitor_and_for_a_stale_id,
                middleware_inside_of_that_of_the_same_manager_passes_requests_through,
                without_the_middleware_an_extractor_fails_and_the_client_is_told_nothing,
            }
            transports {
                one_cookie_for_the_session_and_those_of_the_app_untouched,
                and_21_a_token_from_the_url_counts_only_when_asked_for_and_never_becomes_a_cookie,
                a_header_carries_the_token_where_that_is_configured,
                and_18_a_persistent_cookie_lasts_as_the_session_does_at_most_400_days,
                secure_is_always_written_unless_the_configuration_says_otherwise,
                a_request_that_does_everything_is_answered_with_one_cookie_or_header,
            }
            caching {
                responses_say_how_far_caches_may_keep_them,
                cache_headers_of_the_application_are_respected,
                a_response_that_carries_a_token_is_never_kept_by_a_shared_cache,
            }
            hostile {
                what_has_not_the_form_of_an_id_is_never_looked_up,
                nul_and_line_breaks_in_a_cookie_never_reach_an_engine,
                a_well_formed_id_of_somebody_elses_making_is_never_adopted,
                cookie_headers_that_are_no_cookies_hide_nothing,
                two_live_session_cookies_are_ambiguous_and_a_logout_ends_both,
                a_login_heals_ambiguous_cookies,
                at_most_four_candidates_are_looked_up,
            }
            failures {
                an_engine_that_is_down_is_503_and_never_a_visitor_who_is_logged_out,
                each_kind_of_failure_has_its_status_and_says_nothing_of_the_inside,
                a_session_that_ended_meanwhile_is_409_and_its_cookie_is_left_alone,
                a_value_that_is_too_large_is_413_and_what_was_stored_stays,
                a_login_that_fails_half_way_is_not_a_login,
                a_failure_that_the_handler_has_seen_is_the_handlers_to_answer,
                the_hook_sees_the_request_and_answers_for_the_extractor_the_handler_and_the_release,
                the_hook_answers_for_middleware_too,
                a_handler_that_answers_an_error_of_its_own_is_stored_all_the_same,
                what_a_failed_handler_changed_is_not_stored,
                an_error_keeps_the_cors_headers_of_the_answer_that_it_replaces,
                a_cookie_whose_session_was_ended_goes_also_beside_an_error,
            }
            endings {
                a_client_that_hangs_up_in_the_middle_of_a_handler_leaves_the_store_as_it_was,
                a_lazy_session_of_a_request_whose_client_hung_up_takes_no_changes,
                a_request_whose_client_hung_up_leaves_no_memory_behind,
                a_release_that_has_begun_is_finished_when_the_client_hangs_up,
                a_handler_that_a_timeout_cancels_stores_nothing,
                a_handler_that_panics_stores_nothing_and_the_server_goes_on,
                what_a_panicking_handler_did_is_not_stored_where_the_panic_is_caught_inside,
                a_handle_that_outlives_its_request_takes_no_more_changes_until_it_is_loaded_anew,
                a_lazy_session_that_outlives_its_request_does_not_swallow_writes,
            }
            connections {
                a_stream_is_not_buffered_and_the_session_is_stored_before_its_head_leaves,
                a_stream_reads_the_session_and_is_told_that_it_cannot_set,
            }
            scopes {
                a_handler_reaches_the_sessions_of_both_managers,
                a_failure_of_one_scope_does_not_lose_the_new_id_of_the_other,
                two_managers_one_inside_of_the_other_keep_two_sessions,
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __http_tests {
    ($adapter:tt $($group:ident { $($name:ident,)+ })+) => {
        $($crate::__http_tests! { @group $adapter $group $($name)+ })+
    };
    (@group $adapter:tt $group:ident $($name:ident)+) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;
            $($crate::__http_tests! { @test $adapter $group $name })+
        }
    };
    (@test [$adapter:ty] $group:ident $name:ident) => {
        #[test]
        fn $name() {
            $crate::http::run($crate::http::behaviours::$group::$name::<$adapter>());
        }
    };
}
