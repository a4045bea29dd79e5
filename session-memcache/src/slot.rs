//! One key on its server, and its commands. Each method is one round trip unless documented
//! otherwise.

use std::time::Duration;

use memcache::exp::{Delete, Get, GetStatus, Meta, MutationResult, MutationStatus, Set};
use session_core::clock::Clock;
use session_core::engine::WriteOutcome;
use session_core::record::Record;
use session_core::{ErrorKind, Result};

use crate::server::Server;
use crate::{ENGINE, ttl};

/// The overhead of an item: header, compare token, flags, and the terminators of both strings.
pub(crate) const ITEM_OVERHEAD: usize = 63;

/// The client flags of a tombstone, so that `exists` need not fetch the record. Sessions have flags
/// 0.
const TOMBSTONE: u32 = 1;

/// One key on its server.
pub(crate) struct Slot<'a> {
    pub(crate) server: &'a Server,
    pub(crate) key: String,
    pub(crate) clock: &'a dyn Clock,
}

/// The undecoded item under a key.
pub(crate) struct Item {
    pub(crate) bytes: Vec<u8>,
    /// The compare token, never zero.
    pub(crate) cas: u64,
    /// Its remaining lifetime.
    left: Option<Duration>,
}

/// The server's response to a conditional command.
pub(crate) enum Answer {
    /// Done, with the new compare token or zero.
    Done(u64),
    /// There is no item.
    Absent,
    /// The item has another compare token.
    Differs,
}

impl Slot<'_> {
    /// The item; with `slide` its idle deadline is extended.
    pub(crate) async fn fetch(&self, slide: Option<Duration>) -> Result<Option<Item>> {
        let get = Get::new(&self.key);
        let get = match slide {
            Some(idle) => get.meta(Meta::NONE.cas()).touch_raw(ttl::wire(idle)),
            None => get.meta(Meta::NONE.cas().ttl()),
        };
        let found = self.server.read(get).await?;
        if found.status == GetStatus::Miss {
            return Ok(None);
        }
        let seconds = found.item.ttl.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Some(Item {
            bytes: found.value.unwrap_or_default(),
            cas: self.compare_token(found.item.cas)?,
            left: slide.or_else(|| seconds.map(Duration::from_secs)),
        }))
    }

    /// The item as a record, unless expired. The idle deadline of a session is the server's; that
    /// of a tombstone is in its header, and reads do not extend it.
    pub(crate) fn decode(&self, item: Item) -> Result<Option<Record>> {
        let mut record = Record::decode(item.bytes).map_err(|error| error.in_engine(ENGINE))?;
        let now = self.clock.now();
        record.cas = item.cas;
        if let (true, Some(left)) = (record.is_live(), item.left) {
            record.header.deadline = now.after(left).min(record.header.absolute);
        }
        Ok(record.is_alive_at(now).then_some(record))
    }

    /// The current record; does not extend its deadline.
    pub(crate) async fn look(&self) -> Result<Option<Record>> {
        match self.fetch(None).await? {
            Some(item) => self.decode(item),
            None => Ok(None),
        }
    }

    /// Whether there is a session. The server does not send the value.
    pub(crate) async fn holds_session(&self) -> Result<bool> {
        let found = self.server.read(Get::new(&self.key).without_value()).await?;
        Ok(found.status == GetStatus::Hit && found.client_flags != Some(TOMBSTONE))
    }

    /// The command that stores a record, without its condition.
    pub(crate) fn set(&self, record: &Record, bytes: Vec<u8>, lifetime: Duration) -> Set {
        let set = self.set_bytes(bytes, lifetime);
        if record.is_live() { set } else { set.client_flags(TOMBSTONE) }
    }

    /// The same for bytes that are not a record.
    pub(crate) fn set_bytes(&self, bytes: Vec<u8>, lifetime: Duration) -> Set {
        let mut set = Set::new(&self.key, []).ttl_raw(ttl::wire(lifetime)).return_cas();
        set.value = bytes;
        set
    }

    /// Stores if there is no item.
    pub(crate) async fn add(&self, set: Set) -> Result<Answer> {
        Ok(answer(&self.server.write(set.add()).await?))
    }

    /// Removes the item with this compare token.
    pub(crate) async fn remove(&self, cas: u64) -> Result<Answer> {
        Ok(answer(&self.server.write(Delete::new(&self.key).compare_cas(cas)).await?))
    }

    /// Replaces the item with this compare token.
    pub(crate) async fn compare_and_set(&self, set: Set, cas: u64) -> Result<Answer> {
        Ok(answer(&self.server.write(set.compare_cas(cas)).await?))
    }

    /// Replaces the item with this compare token; on a conflict a second round trip reads the
    /// current one.
    pub(crate) async fn replace(&self, set: Set, cas: u64) -> Result<WriteOutcome> {
        match self.compare_and_set(set, cas).await? {
            Answer::Done(cas) => Ok(WriteOutcome::stored_with_cas(cas)),
            Answer::Absent => Ok(WriteOutcome::refused(None)),
            Answer::Differs => Ok(WriteOutcome::refused(self.look().await?)),
        }
    }

    /// Returns the current item; if it has expired but the server still keeps it, replaces it. At
    /// most two round trips, three with concurrent writes.
    pub(crate) async fn replace_expired(&self, set: Set) -> Result<WriteOutcome> {
        let Some(item) = self.fetch(None).await? else { return Ok(WriteOutcome::refused(None)) };
        let cas = item.cas;
        match self.decode(item)? {
            Some(current) => Ok(WriteOutcome::refused(Some(current))),
            None => self.replace(set, cas).await,
        }
    }

    fn compare_token(&self, cas: Option<u64>) -> Result<u64> {
        let why = "it runs without compare tokens (-C), so conditional writes are impossible";
        cas.filter(|cas| *cas != 0).ok_or_else(|| self.server.error(ErrorKind::Config, why))
    }
}

fn answer(result: &MutationResult) -> Answer {
    match result.status {
        MutationStatus::Applied => Answer::Done(result.cas.unwrap_or(0)),
        MutationStatus::NotFound => Answer::Absent,
        _ => Answer::Differs,
    }
}
