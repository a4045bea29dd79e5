//! What the server does in one step: scripts of one key each, so that they run on any node of a
//! cluster; of more keys only on a single server.
//!
//! They look at the record's header only (docs/record.md; Lua's `sub` counts from one, `GETRANGE` from zero): magic
//! and format, the state, whether there is an owner (byte 5), the version (8 to 15), the absolute deadline (24 to 31)
//! and the owner (40 to 71). Creating strings is what Lua takes its time for, so the common case makes no longer
//! ones than it must.

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
    pub fn new(code: &'static str) -> Self {
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

/// Read without moving the deadline. Answers the record and how many milliseconds are left; nil when there is none.
pub(crate) static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local record = redis.call('GET', KEYS[1])
return record and {record, redis.call('PTTL', KEYS[1])}",
    )
});

/// Puts an entry into the index of an owner, as described in `owners.rs`. Its four arguments begin at `at`: the
/// session, its absolute deadline, up to which deadline entries are removed, and how long the index must live.
/// Gives the number of entries.
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

/// The index by itself, for a cluster. `ARGV`: the four of the entry.
pub(crate) static ENTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(enter!(), "return enter(KEYS[1], 1)")));

/// Create with an entry in the index of the second key. `ARGV`: the record, its time to live, the four of the entry.
/// Answers the number of entries when the record is stored, else what is there.
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

/// What [`REPLACE`] and [`MOVE`] begin with. `ARGV`: the version that must be stored, the time to live in milliseconds,
/// the record; for a session with an owner also the owner, the absolute deadline as in the header, and, when the last
/// key is the index, the four of the entry.
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

/// Compare and set. Answers the number of entries in the index when the record is stored, zero where it was not
/// changed, and with it the owner of the record before, if there was one; -1 when nothing was done because the
/// owner or the absolute deadline is another one and there is no key of an index. Answers nil when there is nothing,
/// else what is stored: its last eight versions tell the caller whether this write was applied before, and only its
/// answer lost.
pub(crate) static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        compare!(),
        "  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
  return before and {entries, before} or entries
end
return redis.call('GET', KEYS[1])"
    ))
});

/// Compare and replace by the value of the second key; the record among the arguments is left empty. Answers as
/// [`REPLACE`].
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

/// Remove. `ARGV`: the version that must be stored, or empty for any.
/// Answers 1 when the record was removed, and with it its owner, if it had one; nil when there was nothing, else what
/// is stored and stays: another version, or a tombstone.
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

/// A page of an index. `ARGV`: how many entries, and after which score and session. A mark just behind that session
/// finds the place, however many entries have the same score, and whether or not the session still has one.
/// Answers sessions and scores in turn.
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

/// Removes entries of sessions (`ARGV`) that were found to be gone, but for those younger than about a minute, whose
/// records may not have been written yet.
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
