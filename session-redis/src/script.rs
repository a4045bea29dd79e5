//! What the server does in one step: scripts of one key each, so that they run on any node of a
//! cluster, and one of two for a single server.
//!
//! They look at the record's header only (docs/record.md; Lua's `sub` counts from one, `GETRANGE` from zero): magic
//! and format, the state, and the version in the bytes 8 to 15. Creating strings is what Lua takes its time for, so
//! the common case makes no longer ones than it must.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::Cmd;
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

    /// Runs it by the name that a server keeps it under.
    pub fn by_hash(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVALSHA", &self.sha, keys, arguments)
    }

    /// Runs it, and has the server keep it.
    pub fn by_code(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVAL", self.code, keys, arguments)
    }

    fn command(name: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        let size: usize = arguments.iter().map(|argument| argument.len()).sum();
        let size = size + keys.iter().map(|key| key.len()).sum::<usize>();
        let count = 3 + keys.len() + arguments.len();
        let mut command = Cmd::with_capacity(count, script.len() + size + 20);
        command.arg(name).arg(script).arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

/// Create, for servers before 7.0, which do not take `NX` and `GET` together. `ARGV`: the record,
/// its time to live. Answers 1 when the record is stored, else what is there.
pub(crate) static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1])",
    )
});

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

/// Compare and replace by the value of the second key. `ARGV`: the version that must be stored, the
/// time to live in milliseconds. Answers as [`REPLACE`].
pub(crate) static MOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GETRANGE', KEYS[1], 8, 15) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  local moved = redis.pcall('RENAME', KEYS[2], KEYS[1])
  if not moved.err then return 1 end
  redis.call('UNLINK', KEYS[2])
  return moved
end
redis.call('UNLINK', KEYS[2])
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
