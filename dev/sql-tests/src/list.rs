//! The lists of the shared tests, one for each group, and the macros that make tests of them.

/// Servers that die, hang, restart, are full or lose answers, and configurations that do not
/// connect.
///
/// Generates a `#[tokio::test]` for each test of the group; the argument is the
/// [`Engine`](crate::Engine).
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
            connecting::connecting_says_at_once_what_is_wrong(),
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
