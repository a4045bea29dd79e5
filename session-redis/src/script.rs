//! What the server does in one step: two scripts of one key each, so that they run on any node of a cluster.
//!
//! They look at the record's header only (its layout is in `session-core/src/record/codec.rs`; Lua counts from
//! one): bytes 1 to 5 are magic, format and state, bytes 9 to 16 the version, bytes 73 to 128 the seven before it.

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
/// Answers 1 when the record is stored, nil when there is nothing, else what is stored.
///
/// Stored it is, too, when the record's own version is among the last ones: this is then the echo of a write
/// that was applied and whose answer was lost, and others may have written since.
pub(crate) static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GETRANGE', KEYS[1], 8, 15) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
local own = ARGV[2]:sub(9, 16)
if stored:sub(9, 16) == own then return 1 end
for at = 73, 121, 8 do
  if stored:sub(at, at + 7) == own then return 1 end
end
return stored",
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
