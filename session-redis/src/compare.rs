//! The digest of a record, by which Redis 8.4 and later compare it without a script.
//!
//! `SET … IFDEQ` writes only if the digest of the stored value is the given one. The digest of a
//! record that was read is its compare token. Only small records without an owner have one: a
//! write over a record with an owner also changes the owner's index, which takes a script.

use redis::{Cmd, ServerError, Value};
use session_core::record::Record;
use xxhash_rust::xxh3::xxh3_64;

/// The size up to which records have a digest. Server and client hash every byte, which takes more
/// time for 64 KB than the script for large records does.
const LARGEST: usize = 16 * 1_024;

/// Returns the compare token of a record with this encoding; zero if it has none.
pub(crate) fn token(record: &Record, encoded: &[u8]) -> u64 {
    let has_digest = record.header.owner.is_none() && encoded.len() <= LARGEST;
    if has_digest { xxh3_64(encoded) } else { 0 }
}

/// Builds the command that stores a value over the one with this digest. The answer is nil if
/// another value, or none, is stored.
pub(crate) fn set(key: &str, value: &[u8], digest: u64, ttl: i64) -> Cmd {
    let mut command = Cmd::with_capacity(7, key.len() + value.len() + 60);
    let digest = format!("{digest:016x}");
    command.arg("SET").arg(key).arg(value).arg("IFDEQ").arg(digest).arg("PX").arg(ttl);
    command
}

/// Returns whether a stored record has this version, which is at the same place in every format.
pub(crate) fn has_version(stored: &Value, version: &[u8]) -> bool {
    matches!(stored, Value::BulkString(bytes) if bytes.get(8..16) == Some(version))
}

/// Returns whether a server refuses the options of a command.
pub(crate) fn is_unknown(error: &ServerError) -> bool {
    error.details().is_some_and(|details| details.contains("syntax error"))
}
