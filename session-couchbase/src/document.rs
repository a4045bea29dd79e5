//! One session's document and its commands. Each is one round trip unless documented otherwise.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use couchbase::durability_level::DurabilityLevel;
use couchbase::options::kv_options::{InsertOptions, RemoveOptions, ReplaceOptions};
use couchbase::transcoding::{DataType, encode_common_flags};
use session_core::clock::Clock;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::errors::Answer;
use crate::link::Link;
use crate::{Durability, ENGINE};

/// Couchbase's limit for documents.
pub(crate) const MAX_DOCUMENT: usize = 20 * 1024 * 1024;

/// The document of one session.
pub(crate) struct Document<'a> {
    pub(crate) link: &'a Link,
    pub(crate) key: String,
    pub(crate) durability: Durability,
    pub(crate) clock: &'a dyn Clock,
}

/// A fetched, undecoded document.
pub(crate) struct Fetched {
    pub(crate) bytes: Vec<u8>,
    /// The compare token, never zero.
    pub(crate) cas: u64,
}

impl Document<'_> {
    /// The document.
    pub(crate) async fn fetch(&self) -> Result<Option<Fetched>> {
        let way = self.link.way();
        match self.link.answer(false, Box::pin(way.collection().get(&self.key, None))).await? {
            Answer::Done(found) => {
                Ok(Some(Fetched { bytes: found.content_as_raw().0.to_vec(), cas: found.cas() }))
            }
            Answer::Absent | Answer::Differs => Ok(None),
        }
    }

    /// The fetched document as a record, unless expired.
    pub(crate) fn decode(&self, fetched: Fetched) -> Result<Option<Record>> {
        let mut record = Record::decode(fetched.bytes).map_err(|error| error.in_engine(ENGINE))?;
        record.cas = fetched.cas;
        Ok(record.is_alive_at(self.clock.now()).then_some(record))
    }

    /// The current record.
    pub(crate) async fn look(&self) -> Result<Option<Record>> {
        self.fetch().await?.map_or(Ok(None), |fetched| self.decode(fetched))
    }

    /// The stored form of a record: its idle deadline is determined by the time to live.
    pub(crate) fn encode(&self, record: &Record, ttl: Duration) -> Result<Vec<u8>> {
        let mut record = record.clone();
        record.header.deadline = self.clock.now().after(ttl);
        let bytes = record.encode()?;
        check_size(bytes.len())?;
        Ok(bytes)
    }

    /// Stores if there is no document; returns the new compare token.
    pub(crate) async fn insert(&self, bytes: &[u8], ttl: Duration) -> Result<Answer<u64>> {
        let options = InsertOptions::new().expiry(expiry(ttl)).durability_level(level(self.durability));
        let way = self.link.way();
        let call =
            way.collection().insert_raw(&self.key, bytes, encode_common_flags(DataType::Binary), options);
        Ok(self.link.answer(true, Box::pin(call)).await?.map(|done| done.cas()))
    }

    /// Replaces the document with this compare token; returns the new one.
    pub(crate) async fn replace(&self, bytes: &[u8], ttl: Duration, cas: u64) -> Result<Answer<u64>> {
        let options =
            ReplaceOptions::new().cas(cas).expiry(expiry(ttl)).durability_level(level(self.durability));
        let way = self.link.way();
        let call =
            way.collection().replace_raw(&self.key, bytes, encode_common_flags(DataType::Binary), options);
        Ok(self.link.answer(true, Box::pin(call)).await?.map(|done| done.cas()))
    }

    /// Removes the document with this compare token.
    pub(crate) async fn remove(&self, cas: u64) -> Result<Answer<()>> {
        let options = RemoveOptions::new().cas(cas).durability_level(level(self.durability));
        let way = self.link.way();
        Ok(self.link.answer(true, Box::pin(way.collection().remove(&self.key, options))).await?.map(drop))
    }
}

/// [`TooLarge`](ErrorKind::TooLarge) above the limit for documents.
fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_DOCUMENT {
        let why = format!("it has {bytes} bytes, but Couchbase's documents are limited to {MAX_DOCUMENT}");
        return Err(Error::new(ErrorKind::TooLarge, why).in_engine(ENGINE));
    }
    Ok(())
}

/// The last date that every server accepts: it has 32 bits, which the mock treats as signed, so a
/// later one would expire at once.
const LAST_DATE: u64 = i32::MAX as u64;

/// The server's time to live: whole seconds, plus one because the current second of the server's
/// clock has already begun, so that nothing ends early. Reads use the exact deadline in the header.
fn expiry(ttl: Duration) -> Duration {
    expiry_at(ttl, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn expiry_at(ttl: Duration, now: u64) -> Duration {
    /// Above this the SDK sends a date.
    const DATES: u64 = 30 * 24 * 60 * 60;
    /// The SDK reads the clock a moment later.
    const MOMENT: u64 = 60;
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)).saturating_add(1);
    let latest = LAST_DATE.saturating_sub(now).saturating_sub(MOMENT).max(DATES - 1);
    Duration::from_secs(seconds.min(latest))
}

fn level(durability: Durability) -> DurabilityLevel {
    match durability {
        Durability::None => DurabilityLevel::NONE,
        Durability::Majority => DurabilityLevel::MAJORITY,
        Durability::MajorityAndPersistToActive => DurabilityLevel::MAJORITY_AND_PERSIST_ACTIVE,
        Durability::PersistToMajority => DurabilityLevel::PERSIST_TO_MAJORITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_round_up_and_are_never_zero_which_means_forever() {
        assert_eq!(expiry(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(expiry(Duration::from_millis(1)), Duration::from_secs(2));
        assert_eq!(expiry(Duration::from_secs(60)), Duration::from_secs(61));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(expiry(Duration::MAX).as_secs() + now <= LAST_DATE);
    }

    #[test]
    fn long_lifetimes_beyond_the_last_date_become_thirty_days() {
        let (last, year_9999) = (LAST_DATE, 253_402_300_799);
        for now in [last - 60, last, last + 1, year_9999, u64::MAX] {
            assert_eq!(expiry_at(Duration::MAX, now), Duration::from_secs(30 * 86_400 - 1));
            assert_eq!(expiry_at(Duration::ZERO, now), Duration::from_secs(1));
            assert_eq!(expiry_at(Duration::from_secs(60), now), Duration::from_secs(61));
        }
    }
}
