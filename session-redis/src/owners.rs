//! The sessions of an owner: a sorted set for each owner, next to the records.
//!
//! A score is the absolute deadline of the session in milliseconds, so that using the session does
//! not change it. Its fraction is the time when the entry was created, in units of 16 seconds,
//! modulo 1024. A member is the session's id. Every new entry removes the entries of sessions that
//! ended more than an hour ago, and makes the index live as long as its longest session: its own
//! expiry is only moved forward.
//!
//! The entry is never written after the record: on one server the same script writes both; in a
//! cluster, where the two keys have different slots, an earlier call does. So a stale entry has no
//! record, or one of another owner. The next reader of the index removes it, and the process that
//! creates every 128th entry reads the index. An entry is kept for a little more than a minute,
//! because its record may be about to be written; the server's clock measures that.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Value, cmd};
use session_core::accounts::Owner;
use session_core::engine::{Cursor, Indexed, Listed, Page, end_listed};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::error::Failure;
use crate::provider::{RedisProvider, millis};
use crate::script::{ENTER, LEAVE, PAGE, REMOVE};

/// The maximum number of entries that one call reads.
const MOST: usize = 256;
/// Whenever the number of entries is a multiple of this, the index is tidied.
const TIDY: i64 = 128;
/// Entries are removed without a check when the session ended this long ago, which tolerates
/// differences between the clocks of processes.
const PAST: Duration = Duration::from_secs(3_600);
/// The latest deadline, in the year 2248: up to this value a score has enough bits for the
/// fraction.
const LATEST: u64 = (1 << 43) - 1;

/// An entry of an index, as the arguments of the scripts.
pub(crate) struct Entry {
    /// The key of the index.
    pub key: String,
    pub owner: Owner,
    /// The absolute deadline as in the record's header.
    pub absolute: [u8; 8],
    arguments: [Vec<u8>; 4],
}

impl Entry {
    pub fn arguments(&self) -> [&[u8]; 4] {
        self.arguments.each_ref().map(Vec::as_slice)
    }
}

/// The answer of a script that changes a record.
pub(crate) enum Changed {
    /// The change was made.
    Done {
        /// The number of entries in the index; zero if it was not changed.
        entries: i64,
        /// The owner of the previous record.
        before: Option<Owner>,
    },
    /// Nothing was changed: the entry must be created first.
    EnterFirst,
    /// Nothing was changed: this is the stored record.
    Other(Value),
}

impl Changed {
    pub fn of(answer: Value) -> Self {
        match answer {
            Value::Int(-1) => Self::EnterFirst,
            Value::Int(entries) => Self::Done { entries, before: None },
            Value::Array(both) => match both.as_slice() {
                [Value::Int(entries), Value::BulkString(owner)] => {
                    let before = owner.as_slice().try_into().ok().map(Owner);
                    Self::Done { entries: *entries, before }
                }
                _ => Self::Other(Value::Array(both)),
            },
            other => Self::Other(other),
        }
    }
}

/// The sessions of a page of an index.
#[derive(Default)]
struct Found {
    live: Vec<Listed>,
    /// Tombstones of sessions that have another id now.
    moved: Vec<Listed>,
    next: Option<Cursor>,
}

impl RedisProvider {
    /// Returns the entry of a session; `None` for one without an owner, and for a tombstone.
    pub(crate) fn entry(&self, id: &StorageId, record: &Record) -> Option<Entry> {
        let owner = record.header.owner.filter(|_| record.is_live())?;
        let (now, absolute) = (self.clock.now(), record.header.absolute);
        let past = now.as_millis().saturating_sub(millis(PAST).unsigned_abs());
        let life = absolute.since(now).saturating_add(PAST);
        Some(Entry {
            key: self.index(&owner),
            owner,
            absolute: absolute.as_millis().to_be_bytes(),
            arguments: [
                member(id),
                absolute.as_millis().min(LATEST).to_string().into_bytes(),
                past.to_string().into_bytes(),
                millis(life).to_string().into_bytes(),
            ],
        })
    }

    /// Creates an entry before its record is written. If this fails, no visible state was changed.
    pub(crate) async fn enter(&self, entry: &Entry) -> Result<()> {
        let answer = self.run(&ENTER, &[&entry.key], &entry.arguments()).await.map_err(Failure::of_read)?;
        match answer {
            Value::Int(entries) => {
                self.tidy(entry.owner, entries);
                Ok(())
            }
            _ => Err(unreadable()),
        }
    }

    /// Removes the entry of a session that is gone or has another owner, in the background: if this
    /// fails, the next reader of the index does it.
    pub(crate) fn leave(&self, owner: Owner, id: &StorageId) {
        let (provider, member) = (self.clone(), member(id));
        tokio::spawn(async move {
            let _ = provider.run(&LEAVE, &[&provider.index(&owner)], &[&member]).await;
        });
    }

    /// Reads an index that has grown in the background, which removes its stale entries.
    pub(crate) fn tidy(&self, owner: Owner, entries: i64) {
        if entries <= 0 || entries % TIDY != 0 {
            return;
        }
        let provider = self.clone();
        tokio::spawn(async move {
            let mut after = None;
            while let Ok(found) = provider.look_up(&owner, after.as_ref(), MOST).await {
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
        });
    }

    /// Returns the key of an owner's index.
    pub(crate) fn index(&self, owner: &Owner) -> String {
        // No id contains a `~`.
        format!("{}owner~{}", self.prefix, StorageId::from_hash(owner.0).to_text())
    }

    /// Reads a page of the index and the records of its sessions: two round trips, and one more if
    /// there are stale entries.
    async fn look_up(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Found> {
        let index = self.index(owner);
        let limit = limit.clamp(1, MOST);
        let (position, size) = (after.map(position).transpose()?, limit.to_string());
        let mut arguments = vec![size.as_bytes()];
        if let Some((score, member)) = &position {
            arguments.extend([score.as_bytes(), member]);
        }
        let answer = self.run(&PAGE, &[&index], &arguments).await.map_err(Failure::of_read)?;
        let entries: Vec<(Vec<u8>, f64)> = redis::from_redis_value(answer).map_err(|_| unreadable())?;
        let mut found = Found::default();
        if let Some((member, score)) = entries.last().filter(|_| entries.len() == limit) {
            found.next = Some(cursor(*score, member));
        }
        let ids: Vec<_> =
            entries.iter().map(|(member, _)| Cursor(member.as_slice().into()).id().ok()).collect();
        let mut records = self.records(ids.iter().flatten()).await?.into_iter();
        let mut left_over: Vec<&[u8]> = Vec::new();
        for (id, (member, _)) in ids.into_iter().zip(&entries) {
            let Some((id, record)) = id.and_then(|id| Some((id, records.next()?))) else {
                left_over.push(member);
                continue;
            };
            match record {
                Ok(Some(record)) if record.is_live() && record.header.owner == Some(*owner) => {
                    found.live.push(Listed::new(id, record));
                }
                Ok(record) => {
                    left_over.push(member);
                    let moved = record.filter(|record| !record.is_live());
                    found.moved.extend(moved.map(|record| Listed::new(id, record)));
                }
                // An unreadable record is not listed, but keeps its entry.
                Err(_) => {}
            }
        }
        if !left_over.is_empty() {
            self.run(&LEAVE, &[&index], &left_over).await.map_err(Failure::of_read)?;
        }
        Ok(found)
    }

    /// Reads the records under these ids with their idle deadlines; an error for each unreadable
    /// one. One round trip.
    pub(crate) async fn records(
        &self,
        ids: impl Iterator<Item = &StorageId>,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let ask = |id| {
            let key = self.key(id);
            ["GET", "PTTL"].map(|name| {
                let mut command = cmd(name);
                command.arg(&key);
                (key.clone(), command)
            })
        };
        let answers = self.route.send_each(ids.flat_map(ask).collect()).await.map_err(Failure::of_read)?;
        let now = self.clock.now();
        let mut answers = answers.into_iter();
        let mut records = Vec::with_capacity(answers.len() / 2);
        while let (Some(found), Some(life)) = (answers.next(), answers.next()) {
            let found = match found {
                Err(Failure::Refused(error)) if error.code() == "WRONGTYPE" => Ok(Value::Nil),
                found => found,
            };
            let mut found = self.record(found.map_err(Failure::of_read)?, ErrorKind::Unavailable);
            // A record that was written between the two commands has its deadline in the header.
            if let (Ok(Some(record)), Ok(Value::Int(life @ 0..))) = (&mut found, life) {
                record.header.deadline = now.after(Duration::from_millis(life.unsigned_abs()));
            }
            records.push(found);
        }
        Ok(records)
    }

    /// Ends sessions that were found, in one round trip if they have not changed, and returns their
    /// number.
    async fn end_found(&self, owner: &Owner, found: &Found) -> Result<usize> {
        let remove = |listed: &Listed| {
            let key = self.key(&listed.id);
            let version = listed.record.header.version().0.to_be_bytes();
            let command = REMOVE.by_hash(&[&key], &[&version]);
            (key, command)
        };
        let answers = self.route.send_each(found.live.iter().map(remove).collect()).await;
        let (mut ended, mut gone) = (0, Vec::new());
        for (listed, answer) in found.live.iter().zip(answers.map_err(Failure::of_write)?) {
            let was_there = match answer.map(Changed::of) {
                Ok(Changed::Done { .. }) => true,
                Ok(Changed::Other(Value::Nil)) => false,
                // It was written or has moved since, or the server does not know the script.
                Ok(_) => end_listed(self, owner, listed).await?,
                Err(failure) if failure.code() == Some("NOSCRIPT") => end_listed(self, owner, listed).await?,
                Err(failure) => return Err(failure.of_write()),
            };
            if was_there {
                ended += 1;
                gone.push(member(&listed.id));
            }
        }
        // No new session gets the id of a destroyed one, so these entries are removed however young
        // they are.
        if !gone.is_empty() {
            let index = self.index(owner);
            let mut leave = cmd("ZREM");
            leave.arg(&index).arg(gone);
            self.route.send(&index, &leave).await.map_err(Failure::of_read)?;
        }
        for listed in &found.moved {
            ended += usize::from(end_listed(self, owner, listed).await?);
        }
        Ok(ended)
    }
}

#[async_trait]
impl Indexed for RedisProvider {
    /// Two round trips, and one more if there are stale entries; at most 256 sessions. Ordered by
    /// the absolute deadline, then by id.
    async fn list(&self, owner: &Owner, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let found = self.look_up(owner, after, limit).await?;
        Ok(Page { sessions: found.live, next: found.next })
    }

    /// Four round trips for up to 256 sessions, and one or two more for each that changes
    /// meanwhile.
    async fn end_owner(&self, owner: &Owner, limit: usize) -> Result<usize> {
        let mut after = None;
        loop {
            let found = self.look_up(owner, after.as_ref(), limit).await?;
            let ended = self.end_found(owner, &found).await?;
            after = found.next;
            if ended > 0 || after.is_none() {
                return Ok(ended);
            }
        }
    }
}

/// Encodes a session as the member of an index. A cursor has the same form, and can be decoded.
fn member(id: &StorageId) -> Vec<u8> {
    Cursor::after(id).0.into_vec()
}

fn cursor(score: f64, member: &[u8]) -> Cursor {
    Cursor(score.to_be_bytes().into_iter().chain(member.iter().copied()).collect())
}

/// Returns the score and the member of a cursor.
fn position(cursor: &Cursor) -> Result<(String, &[u8])> {
    match cursor.0.split_first_chunk() {
        Some((score, member)) if !member.is_empty() => Ok((f64::from_be_bytes(*score).to_string(), member)),
        _ => Err(Error::config("the cursor belongs to another list: start again without a cursor")),
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Unavailable, "unexpected reply type")
}
