//! The list of the behaviours of adapters, and the macro that generates tests from it.

/// Generates one `#[test]` for each behaviour of an [`Adapter`](crate::http::Adapter), in a module
/// for each group, so that a failure reads
/// `endings::a_handler_that_a_timeout_cancels_stores_nothing`.
#[macro_export]
macro_rules! http_suite {
    ($adapter:ty) => {
        $crate::__http_tests! { [$adapter]
            lifecycle {
                a_session_begins_with_the_first_write_and_continues_with_its_cookie,
                an_untouched_request_does_no_io_and_its_response_is_unchanged,
                a_visitor_whose_session_is_only_read_is_not_stored,
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
                nested_middleware_of_the_same_manager_passes_requests_through,
                without_the_middleware_an_extractor_fails_without_details_for_the_client,
            }
            transports {
                one_cookie_for_the_session_and_those_of_the_app_untouched,
                and_21_a_token_from_the_url_counts_only_when_asked_for_and_never_becomes_a_cookie,
                a_header_carries_the_token_where_that_is_configured,
                and_18_a_persistent_cookie_lasts_as_the_session_does_at_most_400_days,
                secure_is_always_written_unless_the_configuration_says_otherwise,
                a_request_that_does_everything_gets_one_cookie_or_header,
            }
            caching {
                responses_say_how_far_caches_may_keep_them,
                cache_headers_of_the_application_are_respected,
                a_response_that_carries_a_token_is_never_kept_by_a_shared_cache,
            }
            hostile {
                a_malformed_id_is_never_looked_up,
                nul_and_line_breaks_in_a_cookie_never_reach_an_engine,
                a_well_formed_id_that_was_never_issued_is_never_adopted,
                malformed_cookie_headers_hide_no_session,
                two_live_session_cookies_are_ambiguous_and_a_logout_ends_both,
                a_login_resolves_ambiguous_cookies,
                at_most_four_candidates_are_looked_up,
            }
            failures {
                an_engine_that_is_down_is_503_and_never_a_visitor_who_is_logged_out,
                each_kind_of_failure_has_its_status_and_reveals_no_internals,
                a_session_that_ended_meanwhile_is_409_and_its_cookie_is_left_alone,
                a_value_that_is_too_large_is_413_and_the_stored_session_is_kept,
                a_login_that_fails_half_way_is_not_a_login,
                a_failure_returned_to_the_handler_is_left_to_the_handler,
                the_hook_sees_the_request_and_responds_for_the_extractor_the_handler_and_the_release,
                the_hook_also_responds_for_middleware,
                a_handler_that_responds_with_its_own_error_is_stored,
                changes_of_a_failed_handler_are_not_stored,
                an_error_keeps_the_cors_headers_of_the_response_that_it_replaces,
                the_cookie_of_an_ended_session_is_removed_even_with_an_error,
            }
            flashes {
                a_message_is_shown_once_and_taken_by_one_write,
                of_concurrent_pages_one_shows_the_message_and_none_fails,
                a_logout_leaves_its_message_in_a_new_session,
                messages_are_kept_while_they_cannot_be_taken,
                a_failing_page_uses_up_its_messages,
            }
            endings {
                a_client_that_disconnects_during_a_handler_leaves_the_store_unchanged,
                a_lazy_session_accepts_no_changes_after_its_client_has_disconnected,
                a_request_whose_client_has_disconnected_leaks_no_memory,
                a_release_that_has_begun_is_finished_when_the_client_disconnects,
                a_handler_that_a_timeout_cancels_stores_nothing,
                a_handler_that_panics_stores_nothing_and_the_server_goes_on,
                changes_of_a_panicking_handler_are_not_stored_if_the_panic_is_caught_inside,
                a_handle_that_outlives_its_request_accepts_no_changes_until_it_is_reloaded,
                a_lazy_session_that_outlives_its_request_does_not_swallow_writes,
            }
            connections {
                a_stream_is_not_buffered_and_the_session_is_stored_before_its_head_leaves,
                a_stream_can_read_the_session_and_a_set_is_an_error,
            }
            scopes {
                a_handler_reaches_the_sessions_of_both_managers,
                a_failure_of_one_scope_does_not_lose_the_new_id_of_the_other,
                two_nested_managers_keep_two_sessions,
                after_an_error_of_one_scope_no_other_scope_stores,
                two_scopes_with_one_cookie_name_are_refused,
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
