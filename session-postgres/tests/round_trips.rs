//! Every operation is one round trip.

mod support;

use support::Postgres;

session_sql_tests::round_trips!(Postgres);
