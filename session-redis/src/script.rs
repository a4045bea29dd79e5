//! What the server does in one step: two scripts of one key each, so that they run on any node of a cluster.
//!
//! They look at the record's header only (docs/record.md; Lua's `sub` counts from one, `GETRANGE` from zero): magic
//! and format, the state, and the version in the bytes 8 to 15. Creating strings is what Lua takes its time for, so
//! the common case makes no longer ones than it must.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha1::{Digest, Sha1};

/// A script and the name under which a server keeps it.
pub(crate) struct Script {
    pub code: &'static str,
    pub sha: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        let mut sha = String::with_capacity(40);
        for byte in Sha1::digest(code.as_bytes()) {
            let _ = write!(sha, "{byte:02x}");
        }
        Self { code, sha }
    }
}

/// Compare and set. `ARGV`: the version that must be stored, the record, its time to live in milliseconds.
/// Answers 1 when the record is stored, nil when there is nothing, else what is stored: its last eight versions
/// tell the caller whether this write was applied before, and only its answer lost.
pub(crate) static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GETRANGE', KEYS[1], 8, 15) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return redis.call('GET', KEYS[1])",
    )
});

/// Remove. `ARGV`: the version that must be stored, or empty for any.
/// Answers 1 when the record was removed, nil when there was nothing, else what is stored and stays: another
/// version, or a tombstone.
pub(crate) static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local header = redis.call('GETRANGE', KEYS[1], 0, 15)
if header == '' and redis.call('EXISTS', KEYS[1]) == 0 then return false end
local moved = header:sub(1, 4) == 'SSN\\1' and header:byte(5) ~= 0
if not moved and (ARGV[1] == '' or header:sub(9, 16) == ARGV[1]) then
  redis.call('UNLINK', KEYS[1])
  return 1
end
return redis.call('GET', KEYS[1])",
    )
});
