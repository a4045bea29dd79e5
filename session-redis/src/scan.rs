//! A walk over all records: `SCAN` with the prefix on one master after the other.

use async_trait::async_trait;
use redis::cmd;
use session_core::engine::{Cursor, Listed, Page, Scan};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};

use crate::count::{escaped, id_of};
use crate::error::Failure;
use crate::link::Link;
use crate::provider::RedisProvider;

/// How many keys are looked at in one step.
const STEP: usize = 256;
/// How many steps are made until something is found.
const STEPS: usize = 16;

/// Where a walk goes on.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Place {
    /// Which master it is at; empty before the first.
    master: String,
    /// Where `SCAN` goes on; empty when it begins.
    cursor: String,
    /// What it has found and nobody has looked at yet.
    keys: Vec<String>,
}

#[async_trait]
impl Scan for RedisProvider {
    /// Two round trips for a page, and one more for each further 256 keys of the database among which there are none of
    /// this prefix. A record whose slot moves to another master during the walk may be missed.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let mut place: Place = match after {
            Some(Cursor(place)) => serde_json::from_slice(place).map_err(|_| unknown_place())?,
            None => Place::default(),
        };
        let mut steps = 0;
        let mut over = false;
        while place.keys.is_empty() && steps < STEPS && !over {
            over = !self.step(&mut place).await?;
            steps += 1;
        }
        let rest = place.keys.split_off(place.keys.len().min(limit));
        let ids: Vec<_> = place.keys.iter().filter_map(|key| self.id(key)).collect();
        let records = self.records(ids.iter()).await?;
        let listed = |(id, record): (StorageId, Result<Option<_>>)| Some(Listed::new(id, record.ok()??));
        let sessions = ids.into_iter().zip(records).filter_map(listed).collect();
        place.keys = rest;
        let next = if over && place.keys.is_empty() {
            None
        } else {
            let place = serde_json::to_vec(&place).map_err(|_| unknown_place())?;
            Some(Cursor(place.into()))
        };
        Ok(Page { sessions, next })
    }
}

impl RedisProvider {
    /// Looks at more keys; `false` when there are none behind `place`.
    async fn step(&self, place: &mut Place) -> Result<bool> {
        let mut masters = self.route.masters().await.map_err(Failure::of_read)?;
        masters.sort_by_cached_key(Link::name);
        let begins = place.cursor.is_empty();
        let mut masters = masters.into_iter().skip_while(|master| {
            let name = master.name();
            if begins { name <= place.master } else { name != place.master }
        });
        let Some(master) = masters.next() else {
            return if begins { Ok(false) } else { Err(unknown_place()) };
        };
        let mut scan = cmd("SCAN");
        let from = if begins { "0" } else { &place.cursor };
        scan.arg(from).arg("MATCH").arg(format!("{}*", escaped(&self.prefix))).arg("COUNT").arg(STEP);
        let answer = master.send(&scan).await.map_err(Failure::of_read)?;
        let (cursor, keys): (String, Vec<Vec<u8>>) = redis::from_redis_value(answer)
            .map_err(|_| Error::new(ErrorKind::Unavailable, "the answer to SCAN cannot be read"))?;
        place.keys.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
        place.keys.retain(|key| self.id(key).is_some());
        place.master = master.name();
        place.cursor = if cursor == "0" { String::new() } else { cursor };
        Ok(true)
    }

    fn id(&self, key: &str) -> Option<StorageId> {
        id_of(&self.prefix, key.as_bytes())
    }
}

fn unknown_place() -> Error {
    Error::config("the cursor is of another walk, or its master is gone: begin again without one")
}
