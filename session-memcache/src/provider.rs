//! The [`Provider`]: what each of its methods is in memcached's meta commands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use memcache::exp::AsyncMetaClient;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{Condition, DestroyOutcome, Durability, WriteOutcome};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::server::Server;
use crate::slot::{Answer, ITEM_OVERHEAD, Slot};
use crate::{ENGINE, MemcacheConfig, routing};

/// What memcached allows a key.
const MAX_KEY: usize = 250;
/// How long a hashed storage id is as text.
const HASHED_ID: usize = 64;

/// Sessions in memcached.
///
/// Opens connections when they are needed and keeps them.
#[derive(Debug)]
pub struct MemcacheProvider {
    servers: Vec<Server>,
    prefix: String,
    item_max: usize,
    clock: Arc<dyn Clock>,
}

impl MemcacheProvider {
    /// A provider for these servers. Sends nothing: a server that is down is noticed by the first session on it.
    #[must_use]
    pub fn new(config: &MemcacheConfig) -> Self {
        Self {
            servers: config.servers.iter().map(|name| Server::new(name, config)).collect(),
            prefix: config.prefix.clone(),
            item_max: config.item_max,
            clock: Arc::new(SystemClock),
        }
    }

    /// A provider for these servers, of which at least one answers. One round trip to each.
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when none does, so that a wrong address is noticed at the start;
    /// a service that must start while memcached is down uses [`new`](Self::new).
    /// [`Config`](ErrorKind::Config) when one of them refuses the login, asks for one, or is too old.
    pub async fn connect(config: &MemcacheConfig) -> Result<Self> {
        let provider = Self::new(config);
        let mut failure = None;
        let mut answered = false;
        for server in &provider.servers {
            match server.ping().await {
                Ok(()) => answered = true,
                // It would fail in the same way for every session on it.
                Err(error) if error.kind() == ErrorKind::Config => return Err(error.during("connect")),
                Err(error) => {
                    tracing::warn!(%error, "a memcached server does not answer");
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if !answered => Err(error.during("connect")),
            _ => Ok(provider),
        }
    }

    /// Takes the time from another clock. It judges absolute deadlines and tombstones; idle time is the server's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses a client that the application has already, with its own routing, connections and timeouts: of the
    /// configuration only `prefix` and `item_max` count then.
    #[must_use]
    pub fn client(mut self, client: AsyncMetaClient) -> Self {
        self.servers = vec![Server::given(client)];
        self
    }

    fn slot(&self, id: &StorageId) -> Slot<'_> {
        let key = id.to_key(&self.prefix, MAX_KEY);
        let server = &self.servers[routing::choose(&key, self.servers.iter().map(|server| &*server.name))];
        Slot { server, key, clock: &*self.clock }
    }

    /// The record as it is stored: its idle deadline is what the time to live says.
    fn encode(&self, slot: &Slot<'_>, record: &Record, ttl: Duration) -> Result<Vec<u8>> {
        let mut record = record.clone();
        record.header.deadline = self.clock.now().after(ttl);
        let bytes = record.encode()?;
        let limit = self.item_max - ITEM_OVERHEAD - slot.key.len();
        if bytes.len() > limit {
            let why = format!("it has {} bytes and memcached's items take {limit} (`item_max`)", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, why).in_engine(ENGINE));
        }
        Ok(bytes)
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
            .max_record_bytes(self.item_max - ITEM_OVERHEAD - self.prefix.len() - HASHED_ID)
    }

    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let slot = self.slot(id);
        match slot.fetch(Some(idle)).await? {
            Some(item) => slot.decode(item),
            None => Ok(None),
        }
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
        match condition {
            Condition::Absent => match slot.add(new.clone()).await? {
                Answer::Done(cas) => Ok(WriteOutcome::stored_with_cas(cas)),
                Answer::Absent | Answer::Differs => slot.replace_expired(new).await,
            },
            Condition::Over(Stamp { version, cas }) => {
                let cas = match cas {
                    0 => match slot.look().await? {
                        Some(current) if current.header.version() == version => current.cas,
                        other => return Ok(WriteOutcome::refused(other)),
                    },
                    cas => cas,
                };
                slot.replace(new, cas).await
            }
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let slot = self.slot(id);
        let mut cas = expected.map_or(0, |stamp| stamp.cas);
        // Look, then remove what was seen; again when somebody wrote in between, so that a logout neither takes a
        // tombstone away nor is undone by the write that was faster. Ends at the caller's deadline at the latest.
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
                    // A damaged record has no stamp. One that a newer version wrote after this process had read the
                    // session is still the session that is to end.
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
}
