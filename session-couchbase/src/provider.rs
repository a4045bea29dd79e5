//! The [`Provider`]: what each of its methods is in Couchbase's key-value operations.
//!
//! The compare token of a document changes with everything that is done to it, a touch included. Whether *data* has
//! changed is told by the version in the record: where only the token differs, the command is sent again with the new one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use couchbase::collection::Collection;
use session_core::accounts::Owner;
use session_core::clock::{Clock, SystemClock, Timestamp};
use session_core::engine::{Condition, DestroyOutcome, Indexed, OwnerIndex, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State, Version};
use session_core::{Capabilities, Provider, Result};

use crate::document::{Document, MAX_DOCUMENT};
use crate::entries::Lately;
use crate::errors::Answer;
use crate::link::Link;
use crate::{CouchbaseConfig, Durability, ENGINE};

/// What Couchbase allows a key in a collection.
const MAX_KEY: usize = 246;

/// Sessions in Couchbase.
#[derive(Debug, Clone)]
pub struct CouchbaseProvider {
    link: Link,
    pub(crate) prefix: Arc<str>,
    durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    /// The owners and absolute deadlines of versions that were read or written here.
    pub(crate) seen: Arc<Lately<Version, (Owner, Timestamp)>>,
}

impl CouchbaseProvider {
    /// Connects and waits until the bucket's key-value service is ready; share the result.
    ///
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) when no server answers;
    /// [`Config`](session_core::ErrorKind::Config) when one does and lets nobody in: wrong user or password, no such
    /// bucket, scope or collection. It is given up when the connect timeout is over.
    pub async fn connect(config: CouchbaseConfig) -> Result<Self> {
        let (prefix, durability) = (config.prefix.clone(), config.durability);
        let link = Link::connect(config).await.map_err(|error| error.during("connect"))?;
        let prefix = prefix.into();
        Ok(Self { link, prefix, durability, clock: Arc::new(SystemClock), seen: Arc::default() })
    }

    /// Uses a collection of a cluster that the application has connected already, and keeps: with its own certificates,
    /// say. Of the configuration `prefix`, `durability` and `timeout` count.
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

    /// Takes the time from another clock. It judges deadlines on reading; the server removes what has expired.
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
            self.note(record);
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
        self.enter(id, record, condition).await?;
        let stored = |cas| {
            self.note(record);
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
                    // It has ended, though the server still keeps it: there is room.
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

    /// One round trip: the record is written again with its new idle deadline, under its version and compare token.
    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        // That a slide is lost in a failover harms nobody, so it need not wait for replicas.
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
        // Look, then remove what was seen; again when somebody wrote in between, so that a logout neither takes a
        // tombstone away nor is undone by the write that was faster. Ends at the caller's deadline at the latest.
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
                    // A damaged record has no stamp. One that a newer version wrote after this process had read the
                    // session is still the session that is to end.
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

/// A deadline that somebody else has moved this close to the wanted one need not be moved again.
const CLOSE_ENOUGH: Duration = Duration::from_secs(1);
