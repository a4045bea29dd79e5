//! The lists of the shared tests, one for each group, and the macros that make tests of them.
//!
//! Each macro of a group generates a `#[tokio::test]` for each of its tests. The argument is the
//! [`Engine`](crate::Engine).

/// Servers that die, hang, restart, are full or lose answers, rows that are locked, and
/// configurations that do not connect.
#[macro_export]
macro_rules! faults {
    ($engine:ty) => {
        $crate::__tests! { $engine, faults:
            killed::idle_connections_that_are_killed_cause_one_error_in_total(flavor = "multi_thread"),
            killed::a_write_on_a_killed_connection_is_unknown_and_can_be_retried(),
            lost_answers::a_lost_answer_to_a_write_is_unknown_and_the_retry_finds_its_own_version(),
            cancelled::a_cancelled_call_never_leaves_its_answer_to_the_next(flavor = "multi_thread"),
            hanging::calls_to_a_hanging_server_time_out_and_later_ones_succeed(flavor = "multi_thread"),
            hanging::a_slow_connection_is_completed_across_callers_with_short_timeouts(),
            restarts::a_server_that_restarts_under_load_loses_no_acknowledged_write_and_doubles_none(
                flavor = "multi_thread"
            ),
            exhausted::when_all_connections_are_in_use_callers_wait_and_end_at_their_deadline(
                flavor = "multi_thread"
            ),
            exhausted::a_server_without_a_free_connection_is_unavailable_until_it_has_one(),
            locked::a_row_that_is_locked_for_a_moment_is_written_when_it_is_free(),
            connecting::connecting_says_at_once_what_is_wrong(),
        }
    };
}

/// The end of all sessions of an owner, and lists of them.
#[macro_export]
macro_rules! owners {
    ($engine:ty) => {
        $crate::__tests! { $engine, owners:
            changes::no_session_of_an_owner_is_left_after_zero_while_ids_are_replaced(
                flavor = "multi_thread",
                worker_threads = 4
            ),
            changes::logouts_sign_ins_and_two_end_all_calls_do_not_block_each_other(flavor = "multi_thread"),
            lists::unreadable_rows_are_not_listed_but_ended(),
            lists::a_scan_returns_tombstones_and_no_expired_sessions(),
            lists::a_hundred_thousand_sessions_of_an_owner_are_listed_and_ended_in_pages(),
        }
    };
}

/// The limit on connections, pauses between attempts, and logins that change.
#[macro_export]
macro_rules! pool {
    ($engine:ty) => {
        $crate::__tests! { $engine, pool:
            limit::cancelled_calls_never_open_more_connections_than_the_limit(flavor = "multi_thread"),
            limit::an_applications_pool_keeps_its_limit_too(flavor = "multi_thread"),
            pauses::a_full_server_is_rarely_retried(flavor = "multi_thread"),
            logins::every_new_connection_asks_for_user_and_password(),
            ranges::limits_beyond_the_servers_range_become_its_maximum(),
        }
    };
}

/// The round trips of every operation.
#[macro_export]
macro_rules! round_trips {
    ($engine:ty) => {
        $crate::__tests! { $engine, round_trips:
            operations::every_operation_is_one_round_trip(),
            operations::the_sessions_of_an_owner_are_listed_and_ended_in_one_round_trip(),
            drivers_pool::the_drivers_own_pool_works_and_costs_pings(),
        }
    };
}

/// The rows and columns of sessions.
#[macro_export]
macro_rules! rows {
    ($engine:ty) => {
        $crate::__tests! { $engine, rows:
            renames::a_rename_leaves_a_small_row_for_a_minute(),
            renames::a_logout_and_a_rename_at_once_leave_nothing_behind(),
            renames::renames_at_once_all_succeed(flavor = "multi_thread"),
            expiry::expiry_follows_the_servers_clock_and_is_reported_in_the_callers(),
            expiry::an_expired_row_is_absent_for_every_method_and_gives_way_to_a_new_session(),
            expiry::a_row_without_a_rounded_deadline_is_counted_and_collected_after_its_end(),
            expiry::a_create_over_an_expired_row_stores_once(),
            columns::a_touch_writes_the_deadline_only_and_the_owner_has_a_column(),
            columns::plain_ids_are_the_key_and_longer_ones_are_hashed(),
            columns::an_unreadable_row_is_corrupt_and_can_be_destroyed(),
            collecting::gc_removes_expired_rows_in_small_statements(),
            collecting::collectors_at_once_count_no_row_twice(),
            writers::of_writers_at_once_one_wins_and_none_fails(),
        }
    };
}

/// Tests named after their functions, each with the arguments of its `#[tokio::test]`.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($engine:ty, $group:ident: $($file:ident::$name:ident($($runtime:tt)*),)+) => {
        $($crate::__tests! { @[$engine] $group $file $name [$($runtime)*] })+
    };
    (@[$engine:ty] $group:ident $file:ident $name:ident [$($runtime:tt)*]) => {
        #[tokio::test($($runtime)*)]
        #[ignore = "needs a server: cargo xtask test"]
        async fn $name() {
            $crate::$group::$file::$name::<$engine>().await;
        }
    };
}
