//! The scripts that the server runs atomically. Most have one key, so they run on any node of a
//! cluster; scripts with more keys run only on a single server.
//!
//! They read only the record's header (docs/record.md; Lua's `sub` counts from one, `GETRANGE` from
//! zero): magic and format, the state, whether there is an owner (byte 5), the version (8 to 15),
//! the absolute deadline (24 to 31) and the owner (40 to 71). Lua spends its time on creating
//! strings, so the common case keeps them as short as possible.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::Cmd;
use sha1::{Digest, Sha1};

/// A script and the hash by which a server caches it.
pub(crate) struct Script {
    pub code: &'static str,
    pub sha: String,
}

impl Script {
    pub fn new(code: &'static str) -> Self {
        let mut sha = String::with_capacity(40);
        for byte in Sha1::digest(code.as_bytes()) {
            let _ = write!(sha, "{byte:02x}");
        }
        Self { code, sha }
    }

    /// Builds the command that runs the cached script.
    pub fn by_hash(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVALSHA", &self.sha, keys, arguments)
    }

    /// Builds the command that runs the script and makes the server cache it.
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

/// Create, for servers before 7.0, which do not accept `NX` and `GET` together. `ARGV`: the record,
/// its time to live. Returns 1 when the record is stored, otherwise the stored record.
pub(crate) static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1])",
    )
});

/// Read without extending the deadline. Returns the record and the remaining milliseconds; nil when
/// there is none.
pub(crate) static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local record = redis.call('GET', KEYS[1])
return record and {record, redis.call('PTTL', KEYS[1])}",
    )
});

/// Adds an entry to the index of an owner, as described in `owners.rs`. Its four arguments begin at
/// `at`: the session, its absolute deadline, the deadline up to which entries are removed, and the
/// time that the index must live. Returns the number of entries.
macro_rules! enter {
    () => {
        "local function enter(key, at)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[at + 2])
  local turn = math.floor(redis.call('TIME')[1] / 16) % 1024
  redis.call('ZADD', key, string.format('%.17g', ARGV[at + 1] + turn / 1024), ARGV[at])
  if redis.call('PTTL', key) < tonumber(ARGV[at + 3]) then redis.call('PEXPIRE', key, ARGV[at + 3]) end
  return redis.call('ZCARD', key)
end
"
    };
}

/// Adds only the entry, for a cluster. `ARGV`: the four arguments of the entry.
pub(crate) static ENTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(enter!(), "return enter(KEYS[1], 1)")));

/// Create with an entry in the index of the second key. `ARGV`: the record, its time to live, the
/// four arguments of the entry. Returns the number of entries when the record is stored, otherwise
/// the stored record.
pub(crate) static CREATE_OWNED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        enter!(),
        "local there = redis.call('GET', KEYS[1])
if there then return there end
local entries = enter(KEYS[2], 3)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return entries"
    ))
});

/// The common start of [`REPLACE`] and [`MOVE`]. `ARGV`: the version that must be stored, the time
/// to live in milliseconds, the record; for a session with an owner also the owner, the absolute
/// deadline as in the header, and, if the last key is the index, the four arguments of the entry.
macro_rules! compare {
    () => {
        concat!(
            enter!(),
            "local header = redis.call('GETRANGE', KEYS[1], 5, ARGV[4] and 71 or 15)
local entries, before = 0, false
if header:sub(4, 11) == ARGV[1] then
  if header:byte(1) == 1 then
    before = ARGV[4] and header:sub(36) or redis.call('GETRANGE', KEYS[1], 40, 71)
  end
  if ARGV[4] then
    local same = before == ARGV[4] and header:sub(20, 27) == ARGV[5]
    if not ARGV[6] then
      if not same then return -1 end
    elseif not same or not redis.call('ZSCORE', KEYS[#KEYS], ARGV[6]) then
      entries = enter(KEYS[#KEYS], 6)
    end
  end
"
        )
    };
}

/// Compare and set. When the record is stored, returns the number of entries in the index, zero if
/// the index was not changed, together with the owner of the previous record, if it had one.
/// Returns -1 when nothing was done because the owner or the absolute deadline has changed and the
/// key of the index was not passed. Returns nil when there is no record, otherwise the stored one:
/// from its last eight versions the caller learns whether this write was applied earlier and only
/// its answer was lost.
pub(crate) static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        compare!(),
        "  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
  return before and {entries, before} or entries
end
return redis.call('GET', KEYS[1])"
    ))
});

/// Compare and replace by the value of the second key; the record among the arguments is empty.
/// Returns the same as [`REPLACE`].
pub(crate) static MOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        compare!(),
        "  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  local moved = redis.pcall('RENAME', KEYS[2], KEYS[1])
  if not moved.err then return before and {entries, before} or entries end
  redis.call('UNLINK', KEYS[2])
  return moved
end
redis.call('UNLINK', KEYS[2])
return redis.call('GET', KEYS[1])"
    ))
});

/// Remove. `ARGV`: the version that must be stored, or empty for any. Returns 1 when the record was
/// removed, together with its owner, if it had one; nil when there was no record, otherwise the
/// record that stays: another version, or a tombstone.
pub(crate) static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local header = redis.call('GETRANGE', KEYS[1], 0, 15)
if header == '' and redis.call('EXISTS', KEYS[1]) == 0 then return false end
local moved = header:sub(1, 4) == 'SSN\\1' and header:byte(5) ~= 0
if not moved and (ARGV[1] == '' or header:sub(9, 16) == ARGV[1]) then
  local owner = header:byte(6) == 1 and redis.call('GETRANGE', KEYS[1], 40, 71)
  redis.call('UNLINK', KEYS[1])
  return owner and {1, owner} or 1
end
return redis.call('GET', KEYS[1])",
    )
});

/// A page of an index. `ARGV`: the number of entries, and the score and session after which the
/// page begins. A temporary mark just after that session finds the position, however many entries
/// have the same score, and whether or not the session still has an entry. Returns sessions and
/// scores alternately.
pub(crate) static PAGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local from = 0
if ARGV[2] then
  local mark = ARGV[3] .. '\\0'
  redis.call('ZADD', KEYS[1], ARGV[2], mark)
  from = redis.call('ZRANK', KEYS[1], mark)
  redis.call('ZREM', KEYS[1], mark)
end
return redis.call('ZRANGE', KEYS[1], from, from + ARGV[1] - 1, 'WITHSCORES')",
    )
});

/// Removes entries of sessions (`ARGV`) that were found to be gone, except those younger than about
/// a minute, whose records may not have been written yet.
pub(crate) static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local turn = math.floor(redis.call('TIME')[1] / 16)
for _, session in ipairs(ARGV) do
  local score = redis.call('ZSCORE', KEYS[1], session)
  if score and (turn - score % 1 * 1024) % 1024 > 4 then redis.call('ZREM', KEYS[1], session) end
end
return 1",
    )
});
