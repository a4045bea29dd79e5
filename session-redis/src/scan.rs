//! A scan over all records: `SCAN` with the prefix on one master after another.

use async_trait::async_trait;
use redis::cmd;
use session_core::engine::{Cursor, Listed, Page, Scan};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};

use crate::count::{escaped, id_of};
use crate::error::Failure;
use crate::link::Link;
use crate::provider::RedisProvider;

/// The number of keys in one step.
const STEP: usize = 256;
/// The maximum number of steps until a key is found.
const STEPS: usize = 16;

/// The position of a scan.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Position {
    /// The current master; empty before the first.
    master: String,
    /// The cursor of `SCAN`; empty at the start of a master.
    cursor: String,
    /// The keys that were found but not read yet.
    keys: Vec<String>,
}

#[async_trait]
impl Scan for RedisProvider {
    /// Two round trips for a page, and one more for each further 256 keys of the database without a
    /// key of this prefix. A record whose slot moves to another master during the scan may be
    /// missed.
    async fn scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let mut position: Position = match after {
            Some(Cursor(position)) => serde_json::from_slice(position).map_err(|_| unknown_position())?,
            None => Position::default(),
        };
        let mut steps = 0;
        let mut over = false;
        while position.keys.is_empty() && steps < STEPS && !over {
            over = !self.step(&mut position).await?;
            steps += 1;
        }
        let rest = position.keys.split_off(position.keys.len().min(limit));
        let ids: Vec<_> = position.keys.iter().filter_map(|key| self.id(key)).collect();
        let records = self.records(ids.iter()).await?;
        let listed = |(id, record): (StorageId, Result<Option<_>>)| Some(Listed::new(id, record.ok()??));
        let sessions = ids.into_iter().zip(records).filter_map(listed).collect();
        position.keys = rest;
        let next = if over && position.keys.is_empty() {
            None
        } else {
            let position = serde_json::to_vec(&position).map_err(|_| unknown_position())?;
            Some(Cursor(position.into()))
        };
        Ok(Page { sessions, next })
    }
}

impl RedisProvider {
    /// Scans more keys; `false` if there are none after `position`.
    async fn step(&self, position: &mut Position) -> Result<bool> {
        let mut masters = self.route.masters().await.map_err(Failure::of_read)?;
        masters.sort_by_cached_key(Link::name);
        let begins = position.cursor.is_empty();
        let mut masters = masters.into_iter().skip_while(|master| {
            let name = master.name();
            if begins { name <= position.master } else { name != position.master }
        });
        let Some(master) = masters.next() else {
            return if begins { Ok(false) } else { Err(unknown_position()) };
        };
        let mut scan = cmd("SCAN");
        let from = if begins { "0" } else { &position.cursor };
        scan.arg(from).arg("MATCH").arg(format!("{}*", escaped(&self.prefix))).arg("COUNT").arg(STEP);
        let answer = master.send(&scan).await.map_err(Failure::of_read)?;
        let (cursor, keys): (String, Vec<Vec<u8>>) = redis::from_redis_value(answer)
            .map_err(|_| Error::new(ErrorKind::Unavailable, "unexpected reply to SCAN"))?;
        position.keys.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
        position.keys.retain(|key| self.id(key).is_some());
        position.master = master.name();
        position.cursor = if cursor == "0" { String::new() } else { cursor };
        Ok(true)
    }

    fn id(&self, key: &str) -> Option<StorageId> {
        id_of(&self.prefix, key.as_bytes())
    }
}

fn unknown_position() -> Error {
    Error::config("the cursor belongs to another scan, or its master is gone: start again without a cursor")
}
