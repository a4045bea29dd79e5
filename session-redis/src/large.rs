//! Writing a large record over another one.
//!
//! A script's arguments become strings of Lua, and are copied again when the script stores them:
//! for 64 KB that is six times the work of a plain `SET`. A large record is therefore stored under
//! a key of its own first, and the script that compares the versions renames that key, which moves
//! no bytes. Both commands leave in one packet, one round trip. If only the first arrives, the
//! extra key expires after a minute.

use redis::{Value, cmd};

use crate::error::{Failure, Fault};
use crate::link::Link;
use crate::owners::Entry;
use crate::script::MOVE;

/// From this size on it is less work for the server: docs/redis.md has the measurement.
pub(crate) const LARGE: usize = 2_048;
/// The time to live of the record under its own key, in milliseconds.
const ASIDE: i64 = 60_000;

/// What is to be written, and over what.
pub(crate) struct Replacement<'a> {
    pub key: &'a str,
    /// The version that must be stored.
    pub over: &'a [u8],
    /// The version of the record, which names its own key.
    pub version: u64,
    pub value: &'a [u8],
    pub ttl: i64,
    /// What is to be in the index of its owner, where there is an owner.
    pub entry: Option<&'a Entry>,
}

impl<'a> Replacement<'a> {
    /// The arguments of both scripts; `index` says whether they are given the key of the index.
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

/// Compares and replaces. Answers as the script for small records does.
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
