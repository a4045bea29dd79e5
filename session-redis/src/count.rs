//! Counts sessions.

use std::sync::Arc;

use redis::{Cmd, ToRedisArgs, Value, cmd};
use session_core::id::StorageId;
use session_core::{Error, ErrorKind, Result};
use tokio::task::JoinSet;

use crate::config::Count;
use crate::error::{Failure, Fault};
use crate::link::Link;

/// The number of keys in one step: the server does nothing else for about a millisecond.
const STEP: usize = 1_000;
/// With more keys than this on one server an exact count takes about a minute, which is longer than
/// any caller waits.
const TOO_MANY: u64 = 15_000_000;

/// Counts on all masters in parallel. A key that moves from one to another meanwhile may count
/// twice.
pub(crate) async fn count(masters: Vec<Link>, how: Count, prefix: &str) -> Result<Option<u64>> {
    if how == Count::Off || masters.is_empty() {
        return Ok(None);
    }
    let prefix: Arc<str> = prefix.into();
    let mut counting = JoinSet::new();
    for master in masters {
        let prefix = Arc::clone(&prefix);
        counting.spawn(async move { on_one(&master, how, &prefix).await });
    }
    let mut total = Some(0);
    while let Some(counted) = counting.join_next().await {
        let counted =
            counted.map_err(|_| Error::new(ErrorKind::Unavailable, "the runtime is shutting down"))??;
        total = total.zip(counted).map(|(total, counted): (u64, u64)| total.saturating_add(counted));
    }
    Ok(total)
}

async fn on_one(master: &Link, how: Count, prefix: &str) -> Result<Option<u64>> {
    match (size(master).await, how) {
        (Ok(size), Count::Exact) if size > TOO_MANY => Ok(None),
        // Also where the user may not ask for the size.
        (_, Count::Exact) => walk(master, prefix).await.map(Some),
        (size, _) => size.map(Some).map_err(Failure::of_read),
    }
}

/// Returns the number of keys of one server.
async fn size(master: &Link) -> Result<u64, Failure> {
    match master.send(&cmd("DBSIZE")).await? {
        Value::Int(size) => Ok(u64::try_from(size).unwrap_or(0)),
        _ => Ok(0),
    }
}

/// The number of sessions of one server. Each step looks at the keys that the one before has found.
async fn walk(master: &Link, prefix: &str) -> Result<u64> {
    let pattern = format!("{}*", escaped(prefix));
    let unreadable = || Error::new(ErrorKind::Unavailable, "the answer to SCAN cannot be read");
    let (mut total, mut cursor, mut keys) = (0, String::from("0"), Vec::<Vec<u8>>::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let step = keys.iter().map(start_of).chain([scan]);
        let mut answers = master.send_all(step).await.map_err(Failure::of_read)?;
        let scanned = answers.pop().ok_or_else(unreadable)?;
        total += answers.iter().filter(|start| is_live(start)).count() as u64;
        if let Value::ServerError(error) = &scanned {
            return Err(Fault::answered(error).into_error());
        }
        (cursor, keys) = redis::from_redis_value(scanned).map_err(|_| unreadable())?;
        // A longer prefix may begin with this one.
        keys.retain(|key| id_of(prefix, key).is_some());
        if cursor == "0" {
            let starts = master.send_all(keys.iter().map(start_of)).await.map_err(Failure::of_read)?;
            return Ok(total + starts.iter().filter(|start| is_live(start)).count() as u64);
        }
    }
}

/// The id of a key of this prefix; `None` for an index, for what was set aside, and for another
/// prefix.
pub(crate) fn id_of(prefix: &str, key: &[u8]) -> Option<StorageId> {
    let text = std::str::from_utf8(key.strip_prefix(prefix.as_bytes())?).ok()?;
    StorageId::from_text(text).ok()
}

/// Asks for the bytes of a record that say what it is.
pub(crate) fn start_of(key: impl ToRedisArgs) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(0).arg(4);
    command
}

/// Returns whether these bytes are those of a session: the magic, any format, and the state "live".
pub(crate) fn is_live(start: &Value) -> bool {
    matches!(start, Value::BulkString(start) if matches!(&start[..], [b'S', b'S', b'N', _, 0]))
}

/// Escapes a text as a pattern that matches only itself.
pub(crate) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
