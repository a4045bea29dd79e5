//! The one list of all behaviours, and the macro that makes tests of it.

/// Makes one `#[test]` of each behaviour, in a module for each group, so that a failure reads
/// `regeneration::of_two_at_once_one_wins`.
///
/// The expression makes a [`Harness`](crate::Harness); it is evaluated anew in every test. Attributes before it
/// stand on every test:
///
/// ```ignore
/// session_conformance::suite!(#[ignore = "needs a server: cargo xtask test"] MyHarness::new());
/// ```
///
/// Several configurations of one engine are several modules, each with a `suite!` of its own. An engine that
/// leaves the record with the client writes `suite!(client_side: …)` and is held to what such an engine can do.
#[macro_export]
macro_rules! suite {
    ($(#[$attribute:meta])* $harness:expr) => {
        $crate::__behaviours! { __tests [$(#[$attribute])*] [$harness] }
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

/// What engines on a server do.
#[doc(hidden)]
#[macro_export]
macro_rules! __behaviours {
    ($($mode:tt)*) => {
        $crate::__expand! { $($mode)*
            conditional {
                a_create_needs_an_empty_place,
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
                plain_ids_are_taken_as_they_are,
            }
            ending {
                a_destroyed_session_is_gone_for_every_method,
                a_destroy_of_nothing_is_no_error,
                a_destroy_with_an_old_stamp_is_refused,
                a_destroy_without_a_stamp_removes_what_is_there,
                a_destroyed_place_is_empty,
                a_destroy_and_a_write_at_once_leave_no_half_session,
            }
            merging {
                different_keys_are_all_kept,
                five_workers_count_to_fifty,
                forty_overlapping_updates_count_forty,
                of_two_sets_of_one_key_the_last_wins,
                deletes_and_flushes_are_merged_too,
                of_two_that_take_one_value_one_gets_it,
                after_the_release_the_handle_shows_what_was_committed,
            }
        }
    };
}
