//! Replaces a record with a large one.
//!
//! A script's arguments become strings of Lua, and are copied again when the script stores them:
//! for 64 KB that is six times the work of a plain `SET`. So a large record is first stored under a
//! temporary key, and the script that compares the versions renames that key, which moves no bytes.
//! Both commands are sent in one packet, one round trip. If only the first arrives, the temporary
//! key expires after a minute.

use redis::{Value, cmd};

use crate::error::{Failure, Fault};
use crate::link::Link;
use crate::owners::Entry;
use crate::script::MOVE;

/// The size from which this is less work for the server: docs/redis.md has the measurement.
pub(crate) const LARGE: usize = 2_048;
/// The time to live of the temporary key, in milliseconds.
const ASIDE: i64 = 60_000;

/// The record to write, and the version that it replaces.
pub(crate) struct Replacement<'a> {
    pub key: &'a str,
    /// The version that must be stored.
    pub over: &'a [u8],
    /// The digest of the record with that version; zero if it is unknown.
    pub digest: u64,
    /// The version of the record, which is part of the temporary key.
    pub version: u64,
    pub value: &'a [u8],
    pub ttl: i64,
    /// The entry in the index of the owner, if there is one.
    pub entry: Option<&'a Entry>,
}

impl<'a> Replacement<'a> {
    /// Returns the arguments of both scripts; `index` means that the key of the index is passed
    /// too.
    pub fn arguments(&self, ttl: &'a str, value: &'a [u8], index: bool) -> Vec<&'a [u8]> {
        let mut arguments = vec![self.over, ttl.as_bytes(), value];
        if let Some(entry) = self.entry {
            arguments.extend([&entry.owner.0[..], &entry.absolute]);
            if index {
                arguments.extend(entry.arguments());
            }
        }
        arguments
    }
}

/// Compares and replaces. The answer is that of the script for small records.
pub(crate) async fn replace(link: &Link, replacement: &Replacement<'_>) -> Result<Value, Failure> {
    let &Replacement { key, version, value, ttl, entry, .. } = replacement;
    let aside = format!("{key}~{version:016x}");
    let mut set = cmd("SET");
    set.arg(&aside).arg(value).arg("PX").arg(ttl.min(ASIDE));
    let ttl = ttl.to_string();
    let mut keys = vec![key, aside.as_str()];
    keys.extend(entry.map(|entry| entry.key.as_str()));
    let arguments = replacement.arguments(&ttl, &[], true);
    let connection = link.connection().await?;
    let answers = connection.send_all([set, MOVE.by_hash(&keys, &arguments)].into_iter()).await?;
    let Ok([set, moved]) = <[Value; 2]>::try_from(answers) else {
        return Err(Failure::Lost(Fault::unavailable("an answer is missing")));
    };
    match (set, moved) {
        (Value::ServerError(error), _) | (_, Value::ServerError(error)) if error.code() != "NOSCRIPT" => {
            let failure = Failure::Refused(error);
            connection.note(&failure);
            Err(failure)
        }
        (_, Value::ServerError(_)) => connection.send(&MOVE.by_code(&keys, &arguments)).await,
        (_, answer) => Ok(answer),
    }
}
