//! The [`Provider`] on memcached's meta commands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcache::exp::AsyncMetaClient;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, DestroyOutcome, Durability, Indexed, OwnerIndex, WriteOutcome};
use session_core::entries::{self, Seen};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::server::Server;
use crate::slot::{Answer, ITEM_OVERHEAD, Slot};
use crate::{ENGINE, MemcacheConfig, routing};

/// memcached's limit for keys.
const MAX_KEY: usize = 250;
/// The length of a hashed storage id as text.
const HASHED_ID: usize = 64;

/// Sessions in memcached.
///
/// Connections are opened on demand and kept.
#[derive(Debug, Clone)]
pub struct MemcacheProvider {
    servers: Arc<[Server]>,
    pub(crate) prefix: Arc<str>,
    item_max: usize,
    pub(crate) clock: Arc<dyn Clock>,
    /// The owners of records that this process read or wrote.
    pub(crate) seen: Arc<Seen>,
}

impl MemcacheProvider {
    /// A provider for these servers. Sends nothing: an unreachable server is noticed by the first
    /// session on it.
    #[must_use]
    pub fn new(config: &MemcacheConfig) -> Self {
        Self {
            servers: config.servers.iter().map(|name| Server::new(name, config)).collect(),
            prefix: config.prefix.as_str().into(),
            item_max: config.item_max,
            clock: Arc::new(SystemClock),
            seen: Arc::default(),
        }
    }

    /// A provider for these servers, of which at least one must respond. One round trip to each.
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if none does, so that a wrong address is noticed at
    /// the start; a service that must start while memcached is down uses [`new`](Self::new).
    /// [`Config`](ErrorKind::Config) if a server refuses the login, requires one, or is too old.
    pub async fn connect(config: &MemcacheConfig) -> Result<Self> {
        let provider = Self::new(config);
        let mut failure = None;
        let mut answered = false;
        for server in &*provider.servers {
            match server.ping().await {
                Ok(()) => answered = true,
                // Every session on it would fail in the same way.
                Err(error) if error.kind() == ErrorKind::Config => return Err(error.during("connect")),
                Err(error) => {
                    tracing::warn!(%error, "a memcached server does not respond");
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if !answered => Err(error.during("connect")),
            _ => Ok(provider),
        }
    }

    /// Uses another clock for absolute deadlines and tombstones; the idle deadline follows the
    /// server's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses an application's client, with its own routing, connections and timeouts: of the
    /// configuration only `prefix` and `item_max` apply.
    #[must_use]
    pub fn client(mut self, client: AsyncMetaClient) -> Self {
        self.servers = Arc::new([Server::given(client)]);
        self
    }

    pub(crate) fn slot(&self, id: &StorageId) -> Slot<'_> {
        self.slot_of(id.to_key(&self.prefix, MAX_KEY))
    }

    pub(crate) fn slot_of(&self, key: String) -> Slot<'_> {
        let server = &self.servers[routing::choose(&key, self.servers.iter().map(|server| &*server.name))];
        Slot { server, key, clock: &*self.clock }
    }

    /// The stored form of a record: its idle deadline is determined by the time to live.
    fn encode(&self, slot: &Slot<'_>, record: &Record, ttl: Duration) -> Result<Vec<u8>> {
        let mut record = record.clone();
        record.header.deadline = self.clock.now().after(ttl);
        let bytes = record.encode()?;
        let limit = self.capacity(slot);
        if bytes.len() > limit {
            let why =
                format!("{} bytes are more than memcached\'s item size of {limit} (`item_max`)", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, why).in_engine(ENGINE));
        }
        Ok(bytes)
    }

    /// The number of bytes that a record may have under this key.
    pub(crate) fn capacity(&self, slot: &Slot<'_>) -> usize {
        self.item_max - ITEM_OVERHEAD - slot.key.len()
    }
}

#[async_trait]
impl Provider for MemcacheProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .slides_on_read(true)
            .native_expiry(true)
            .expiry_granularity(Duration::from_secs(1))
            .enumerable(false)
            .durability(Durability::Process)
            .evicts(true)
            .owner_index(OwnerIndex::BestEffort)
            .max_record_bytes(self.item_max - ITEM_OVERHEAD - self.prefix.len() - HASHED_ID)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let slot = self.slot(id);
        let Some(item) = slot.fetch(Some(idle)).await? else { return Ok(None) };
        let found = slot.decode(item)?;
        if let Some(record) = &found {
            self.keep_listed(id, record);
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
        let slot = self.slot(id);
        let ttl = ttl.min(record.header.absolute.since(self.clock.now()));
        let new = slot.set(record, self.encode(&slot, record, ttl)?, ttl);
        let entered = entries::enter(self, id, record, condition).await?;
        let outcome = match condition {
            Condition::Absent => match slot.add(new.clone()).await? {
                Answer::Done(cas) => WriteOutcome::stored_with_cas(cas),
                Answer::Absent | Answer::Differs => slot.replace_expired(new).await?,
            },
            Condition::Over(Stamp { version, cas }) => {
                let cas = match cas {
                    0 => match slot.look().await? {
                        Some(current) if current.header.version() == version => current.cas,
                        other => return Ok(WriteOutcome::refused(other)),
                    },
                    cas => cas,
                };
                slot.replace(new, cas).await?
            }
        };
        if matches!(outcome, WriteOutcome::Stored(_)) {
            self.seen.note(record, entered);
        }
        Ok(outcome)
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let slot = self.slot(id);
        let mut cas = expected.map_or(0, |stamp| stamp.cas);
        // Reads, then removes what was read; repeated after a concurrent write, so that a logout
        // neither removes a tombstone nor is undone by that write. Ends at the caller's deadline at
        // the latest.
        loop {
            if cas == 0 {
                let Some(item) = slot.fetch(None).await? else { return Ok(DestroyOutcome::Absent) };
                cas = item.cas;
                match (slot.decode(item), expected) {
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
            match slot.remove(cas).await? {
                Answer::Done(_) => return Ok(DestroyOutcome::Destroyed),
                Answer::Absent => return Ok(DestroyOutcome::Absent),
                Answer::Differs => cas = 0,
            }
        }
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        self.slot(id).holds_session().await
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
