//! The behaviours, grouped by guarantee. Each is a function that panics if the engine does not
//! conform.

#![allow(clippy::unused_async, reason = "they are all of one type")]

pub mod accounts;
pub mod answers;
pub mod cancellation;
pub mod classes;
pub mod client_side;
pub mod collection;
pub mod conditional;
pub mod csrf;
pub mod deadlines;
pub mod ended_together;
pub mod ending;
pub mod expiry;
pub mod flash;
pub mod handles;
pub mod hanging_up;
pub mod identity;
pub mod leftovers;
pub mod lifetimes;
pub mod limits;
pub mod logout;
pub mod lost_answers;
pub mod merging;
pub mod nothing;
pub mod orders;
pub mod outage;
pub mod owners;
pub mod privacy;
pub mod records;
pub mod regeneration;
pub mod renaming;
pub mod renewal;
pub mod round_trips;
pub mod stamps;
pub mod unreadable;
pub mod workers;
