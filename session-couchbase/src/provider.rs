//! The [`Provider`] on Couchbase's key-value operations.
//!
//! Every operation on a document changes its compare token, even a touch. The version in the record
//! shows whether the *data* has changed: if only the token differs, the command is retried with the
//! new one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use couchbase::collection::Collection;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, DestroyOutcome, Indexed, OwnerIndex, WriteOutcome};
use session_core::entries::{self, Seen};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Provider, Result};

use crate::document::{Document, MAX_DOCUMENT};
use crate::errors::Answer;
use crate::link::Link;
use crate::{CouchbaseConfig, Durability, ENGINE};

/// Couchbase's limit for keys in a collection.
const MAX_KEY: usize = 246;

/// Sessions in Couchbase.
#[derive(Debug, Clone)]
pub struct CouchbaseProvider {
    link: Link,
    pub(crate) prefix: Arc<str>,
    durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    /// The owners of records that this process read or wrote.
    pub(crate) seen: Arc<Seen>,
}

impl CouchbaseProvider {
    /// Connects and waits until the bucket's key-value service is ready; share the result.
    ///
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) if no server responds;
    /// [`Config`](session_core::ErrorKind::Config) if one responds but refuses access: wrong user
    /// or password, missing bucket, scope or collection. Fails after the connect timeout.
    pub async fn connect(config: CouchbaseConfig) -> Result<Self> {
        let (prefix, durability) = (config.prefix.clone(), config.durability);
        let link = Link::connect(config).await.map_err(|error| error.during("connect"))?;
        let prefix = prefix.into();
        Ok(Self { link, prefix, durability, clock: Arc::new(SystemClock), seen: Arc::default() })
    }

    /// Uses a collection of a cluster that the application has connected, for example with client
    /// certificates, and must keep. Of the configuration only `prefix`, `durability` and `timeout`
    /// apply.
    #[must_use]
    pub fn with_collection(collection: Collection, config: &CouchbaseConfig) -> Self {
        let link = Link::given(collection, config.timeout);
        Self {
            link,
            prefix: config.prefix.as_str().into(),
            durability: config.durability,
            clock: Arc::new(SystemClock),
            seen: Arc::default(),
        }
    }

    /// Uses another clock for deadlines on reading; the server removes expired documents by its
    /// own.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn document(&self, id: &StorageId) -> Document<'_> {
        let key = id.to_key(&self.prefix, MAX_KEY);
        Document { link: &self.link, key, durability: self.durability, clock: &*self.clock }
    }
}

#[async_trait]
impl Provider for CouchbaseProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .native_expiry(true)
            .expiry_granularity(Duration::from_secs(1))
            .enumerable(false)
            .owner_index(OwnerIndex::Exact)
            .max_record_bytes(MAX_DOCUMENT)
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        let found = self.document(id).look().await?;
        if let Some(record) = &found {
            self.seen.note(record, self.clock.now());
        }
        Ok(found)
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let document = self.document(id);
        let ttl = ttl.min(record.header.absolute.since(self.clock.now()));
        let bytes = document.encode(record, ttl)?;
        let entered = entries::enter(self, id, record, condition).await?;
        let stored = |cas| {
            self.seen.note(record, entered);
            WriteOutcome::stored_with_cas(cas)
        };
        let mut cas = match condition {
            Condition::Absent => match document.insert(&bytes, ttl).await? {
                Answer::Done(cas) => return Ok(stored(cas)),
                Answer::Absent | Answer::Differs => 0,
            },
            Condition::Over(stamp) => stamp.cas,
        };
        loop {
            if cas == 0 {
                let Some(fetched) = document.fetch().await? else { return Ok(WriteOutcome::refused(None)) };
                cas = fetched.cas;
                match (document.decode(fetched)?, condition) {
                    (Some(current), Condition::Over(Stamp { version, .. }))
                        if current.header.version() == version => {}
                    // It has expired, but the server still keeps it: replace it.
                    (None, Condition::Absent) => {}
                    (current, _) => return Ok(WriteOutcome::refused(current)),
                }
            }
            match document.replace(&bytes, ttl, cas).await? {
                Answer::Done(cas) => return Ok(stored(cas)),
                Answer::Absent => return Ok(WriteOutcome::refused(None)),
                Answer::Differs => cas = 0,
            }
        }
    }

    /// One round trip: rewrites the record with its new idle deadline, under its version and
    /// compare token.
    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        // Losing a touch in a failover is harmless, so it need not wait for replicas.
        let document = Document { durability: Durability::None, ..self.document(id) };
        let mut seen = seen.clone();
        loop {
            let now = self.clock.now();
            if seen.cas == 0 || !seen.is_alive_at(now) {
                match document.look().await? {
                    Some(current) if current.is_live() => seen = current,
                    _ => return Ok(false),
                }
                let wanted = now.after(ttl.saturating_sub(CLOSE_ENOUGH)).min(seen.header.absolute);
                if seen.header.deadline >= wanted {
                    return Ok(true);
                }
            }
            let ttl = ttl.min(seen.header.absolute.since(now));
            match document.replace(&document.encode(&seen, ttl)?, ttl, seen.cas).await? {
                Answer::Done(_) => return Ok(true),
                Answer::Absent => return Ok(false),
                Answer::Differs => seen.cas = 0,
            }
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let document = self.document(id);
        let mut cas = expected.map_or(0, |stamp| stamp.cas);
        // Reads, then removes what was read; repeated after a concurrent write, so that a logout
        // neither removes a tombstone nor is undone by that write. Ends at the caller's deadline at
        // the latest.
        loop {
            if cas == 0 {
                let Some(fetched) = document.fetch().await? else { return Ok(DestroyOutcome::Absent) };
                cas = fetched.cas;
                match (document.decode(fetched), expected) {
                    (Ok(None), _) => return Ok(DestroyOutcome::Absent),
                    (Ok(Some(current)), expected) => {
                        if let State::Moved(to) = current.header.state {
                            return Ok(DestroyOutcome::Moved(to));
                        }
                        if expected.is_some_and(|stamp| stamp.version != current.header.version()) {
                            return Ok(DestroyOutcome::Refused(Box::new(current)));
                        }
                    }
                    // A damaged record has no stamp. A record that a newer version wrote after this
                    // process read the session must be ended too.
                    (Err(_), _) => {}
                }
            }
            match document.remove(cas).await? {
                Answer::Done(()) => return Ok(DestroyOutcome::Destroyed),
                Answer::Absent => return Ok(DestroyOutcome::Absent),
                Answer::Differs => cas = 0,
            }
        }
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        Ok(self.document(id).look().await?.is_some_and(|record| record.is_live()))
    }

    async fn count(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn gc(&self, _limit: usize) -> Result<usize> {
        Ok(0)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }
}

/// If another process has already moved the deadline this close to the new one, no write is needed.
const CLOSE_ENOUGH: Duration = Duration::from_secs(1);
