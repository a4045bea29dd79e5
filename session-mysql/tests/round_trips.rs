//! Every operation is one round trip.

mod support;

use support::MySql;

session_sql_tests::round_trips!(MySql);
