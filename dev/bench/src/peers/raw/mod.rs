//! The least that could possibly be done by hand: no cookie, no handler, no guarantees. They store the bytes that
//! this project would store.

pub mod couchbase;
pub mod file;
pub mod map;
pub mod memcached;
pub mod redis;
pub mod sql;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Visitor;
use super::floor;
use crate::measure::{Client, Role, Subject};
use crate::thread::Thread;
use crate::work::Job;

/// For how long they store.
const IDLE: Duration = Duration::from_hours(1);

/// The key of a client, new for every row of the results, so that none meets what another has left.
fn key(client: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    format!("raw:{now}:{client}")
}

/// A driver by itself, and after a request to axum without sessions: nobody who keeps sessions with that driver can go
/// below the second.
pub fn subjects<C, F>(thread: &Thread, job: Job, clients: impl Fn() -> F) -> [Subject; 2]
where
    C: Client,
    F: Future<Output = Vec<C>>,
{
    let (alone, after_axum) = thread.block_on(async {
        let mut after_axum = Vec::new();
        for driver in clients().await {
            after_axum.push(AfterAxum { visitor: Visitor::new(floor::app(), job.work).await, driver });
        }
        (clients().await, after_axum)
    });
    [
        Subject::of(Role::Raw, "raw driver", thread, alone),
        Subject::of(Role::RawAndFloor, "axum and raw driver", thread, after_axum),
    ]
}

struct AfterAxum<C> {
    visitor: Visitor,
    driver: C,
}

impl<C: Client> Client for AfterAxum<C> {
    async fn prepare(&mut self, _requests: usize) {}

    async fn request(&mut self) {
        self.visitor.request().await;
        self.driver.request().await;
    }
}
