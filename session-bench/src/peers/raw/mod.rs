//! The least that could possibly be done by hand: no cookie, no handler, no guarantees. They store the bytes that
//! this project would store.

pub mod couchbase;
pub mod file;
pub mod map;
pub mod memcached;
pub mod redis;
pub mod sql;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How the raw drivers are called in the tables.
const NAME: &str = "raw driver";
/// For how long they store.
const IDLE: Duration = Duration::from_hours(1);

/// The key of a client, new for every row of the results, so that none meets what another has left.
fn key(client: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    format!("raw:{now}:{client}")
}
