//! The engine: each call is one command on one key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionLike;
use redis::{Client, Value, cmd};
use session_core::accounts::Owner;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{
    Condition, DestroyOutcome, Durability, Indexed, Notify, OwnerIndex, Scan, TimeSource, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};

use crate::compare;
use crate::config::{Count, PREFIX, RedisConfig};
use crate::count::{is_live, start_of};
use crate::error::Failure;
use crate::large::Replacement;
use crate::owners::Changed;
use crate::route::Route;
use crate::script::{ENTER, REMOVE, Script};

/// The name in errors and metrics.
const ENGINE: &str = "redis";

/// Sessions in Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisProvider {
    pub(crate) route: Route,
    pub(crate) prefix: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    count: Count,
    /// Notices are enabled, so reads must not change a record.
    notices: bool,
    /// The server does not accept `NX` and `GET` in one `SET`.
    pub(crate) before_7: Arc<AtomicBool>,
    /// The user may not call `RENAME`, which writes of large records need.
    pub(crate) no_rename: Arc<AtomicBool>,
    /// A server does not compare digests, although another one does.
    pub(crate) no_digests: Arc<AtomicBool>,
}

impl RedisConfig {
    /// Builds the engine without connecting: the first request connects, and later ones reconnect
    /// if necessary.
    ///
    /// [`Config`](ErrorKind::Config) when the settings contradict each other, need a feature of
    /// this crate that is not enabled, or name a certificate file that cannot be read.
    pub fn provider(self) -> Result<RedisProvider> {
        self.check()?;
        let provider = RedisProvider::over(Route::new(&self)?, &self.prefix);
        Ok(RedisProvider { count: self.count, notices: self.notices, ..provider })
    }

    /// Builds the engine and connects: a wrong password, a wrong database, refused scripts, and a
    /// server that is not Redis are reported here.
    ///
    /// [`Config`](ErrorKind::Config) in these cases, [`Unavailable`](ErrorKind::Unavailable) when
    /// no server answers.
    pub async fn connect(self) -> Result<RedisProvider> {
        self.connected().await.map_err(|error| error.during("connect").in_engine(ENGINE))
    }

    async fn connected(self) -> Result<RedisProvider> {
        let provider = self.provider()?;
        provider.route.connect().await.map_err(Failure::of_read)?;
        provider.try_scripts().await?;
        if let Some(notify) = provider.as_notify() {
            notify.listen().await?;
        }
        Ok(provider)
    }
}

impl RedisProvider {
    /// Uses the server of a configured client. The engine opens its own connections, and replaces
    /// them when they break. Prefix and timeouts are the defaults of [`RedisConfig`].
    pub fn from_client(client: &Client) -> Self {
        Self::over(Route::of_client(client), PREFIX)
    }

    /// Uses a connection of the application: a `MultiplexedConnection`, a `ConnectionManager`, a
    /// `ClusterConnection`. The connection itself reconnects, and because it may resend a command,
    /// refused writes are marked as resent. It does not count sessions, because a connection does
    /// not know all servers.
    pub fn from_connection<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::over(Route::of_connection(connection), PREFIX)
    }

    /// Uses a pool of the application, which determines address, login, TLS and the number of
    /// connections.
    ///
    /// A call is one round trip: one or two of the pool's objects are kept, shared by all calls and
    /// returned when the provider is dropped, so give the pool two more than the application itself
    /// uses. A connection that breaks, hangs or leads to a replica is removed from the pool.
    /// docs/redis.md has an example.
    #[cfg(feature = "deadpool")]
    pub fn from_pool(pool: deadpool_redis::Pool) -> Self {
        Self::over(Route::of_pool(pool), PREFIX)
    }

    /// Sets another prefix than `session:`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets another way of counting than [`Count::Exact`].
    #[must_use]
    pub const fn with_count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    pub(crate) fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn over(route: Route, prefix: &str) -> Self {
        let (before_7, no_rename, no_digests) = (Arc::default(), Arc::default(), Arc::default());
        let (prefix, clock, count) = (prefix.into(), Arc::new(SystemClock), Count::Exact);
        Self { route, prefix, clock, count, notices: false, before_7, no_rename, no_digests }
    }

    pub(crate) fn key(&self, id: &StorageId) -> String {
        id.to_key(&self.prefix, usize::MAX)
    }

    /// Runs a script; several keys only if there is a single server.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<Value, Failure> {
        let key = keys.first().copied().unwrap_or_default();
        match self.route.send(key, &script.by_hash(keys, arguments)).await {
            // The server was restarted, is a new master, or its scripts were flushed: send the
            // code.
            Err(failure) if failure.code() == Some("NOSCRIPT") => {
                self.route.send(key, &script.by_code(keys, arguments)).await
            }
            answer => answer,
        }
    }

    /// Runs scripts on keys that do not exist, so that a user or a server without scripts is
    /// reported when connecting. Other failures may be over by the first request.
    async fn try_scripts(&self) -> Result<()> {
        let (key, index) = (self.key(&StorageId::from_hash([0; 32])), self.index(&Owner([0; 32])));
        // The second creates an index that has already expired: the server removes it immediately.
        let entry: [&[u8]; 4] = [b"", b"0", b"0", b"0"];
        let tried = [self.run(&REMOVE, &[&key], &[&[0; 8]]).await, self.run(&ENTER, &[&index], &entry).await];
        for refused in tried.into_iter().filter_map(Result::err) {
            if let Failure::Refused(_) = refused {
                let fault = refused.into_fault();
                if fault.kind == ErrorKind::Config {
                    return Err(fault.into_error());
                }
            }
        }
        Ok(())
    }

    /// Returns the record in an answer; an unexpected type is an error of the kind `unexpected`.
    pub(crate) fn record(&self, answer: Value, unexpected: ErrorKind) -> Result<Option<Record>> {
        match answer {
            Value::BulkString(bytes) => {
                let mut record = Record::decode(&bytes)?;
                record.cas = self.token(&record, &bytes);
                Ok(Some(record))
            }
            Value::Nil => Ok(None),
            _ => Err(Error::new(unexpected, "unexpected reply type")),
        }
    }

    /// Returns the compare token of a record; zero if writes over it compare its version.
    fn token(&self, record: &Record, encoded: &[u8]) -> u64 {
        if self.compares_digests() { compare::token(record, encoded) } else { 0 }
    }

    fn refused(&self, current: Option<Record>) -> WriteOutcome {
        if self.route.resends() {
            WriteOutcome::refused_after_resend(current)
        } else {
            WriteOutcome::refused(current)
        }
    }
}

#[async_trait]
impl Provider for RedisProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .slides_on_read(!self.notices)
            .native_expiry(true)
            .expiry_granularity(Duration::from_millis(1))
            .enumerable(self.route.enumerates() && self.count != Count::Off)
            .time_source(TimeSource::Server)
            .durability(Durability::Server)
            .owner_index(OwnerIndex::Exact)
    }

    /// One `GETEX`; with notices one script.
    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        if self.notices { self.read_still(id).await } else { self.read_sliding(id, idle).await }
    }

    /// One `GETEX`.
    async fn touch(&self, id: &StorageId, seen: &Record, ttl: Duration) -> Result<bool> {
        let ttl = ttl.min(seen.header.absolute.since(self.clock.now()));
        Ok(self.read_sliding(id, ttl).await?.is_some_and(|record| record.is_live()))
    }

    /// One `SET … NX GET` or `SET … IFDEQ`, or one script, or both in one packet for a large
    /// record.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let key = self.key(id);
        let left = record.header.absolute.since(self.clock.now());
        let (value, ttl) = (record.encode()?, millis(ttl.min(left)));
        let entry = self.entry(id, record);
        let changed = match (condition, &entry) {
            (Condition::Absent, None) => {
                Changed::of(self.create(&key, &value, ttl).await.map_err(Failure::of_write)?)
            }
            (Condition::Absent, Some(entry)) => {
                Changed::of(self.create_owned(&key, &value, ttl, entry).await?)
            }
            (Condition::Over(stamp), entry) => {
                let (over, version) = (&stamp.version.0.to_be_bytes(), record.header.version().0);
                let entry = entry.as_ref();
                let digest = stamp.cas;
                let value = &value;
                self.replace_entered(Replacement { key: &key, over, digest, version, value, ttl, entry })
                    .await?
            }
        };
        match changed {
            Changed::Done { entries, before } => {
                let owner = entry.map(|entry| entry.owner);
                if let Some(before) = before.filter(|before| Some(*before) != owner) {
                    self.leave(before, id);
                }
                if let Some(owner) = owner {
                    self.tidy(owner, entries);
                }
                Ok(WriteOutcome::stored_with_cas(self.token(record, &value)))
            }
            Changed::Other(current) => Ok(self.refused(self.record(current, ErrorKind::OutcomeUnknown)?)),
            Changed::EnterFirst => Err(Error::new(ErrorKind::OutcomeUnknown, "unexpected reply type")),
        }
    }

    /// One script; one more for an unreadable tombstone.
    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let key = self.key(id);
        let version = expected.map(|stamp| stamp.version.0.to_be_bytes());
        let version: &[u8] = version.as_ref().map_or(&[], |version| version);
        let answer = self.run(&REMOVE, &[&key], &[version]).await.map_err(Failure::of_write)?;
        let current = match Changed::of(answer) {
            Changed::Done { before, .. } => {
                if let Some(owner) = before {
                    self.leave(owner, id);
                }
                return Ok(DestroyOutcome::Destroyed);
            }
            Changed::Other(current) => current,
            Changed::EnterFirst => Value::Okay,
        };
        match self.record(current, ErrorKind::OutcomeUnknown) {
            Ok(None) => Ok(DestroyOutcome::Absent),
            Ok(Some(record)) => Ok(match record.header.state {
                State::Moved(to) => DestroyOutcome::Moved(to),
                _ => DestroyOutcome::Refused(Box::new(record)),
            }),
            Err(error) if expected.is_none() && error.kind() == ErrorKind::Corrupt => {
                let mut command = cmd("UNLINK");
                command.arg(&key);
                self.route.send(&key, &command).await.map_err(Failure::of_write)?;
                Ok(DestroyOutcome::Destroyed)
            }
            Err(error) => Err(error),
        }
    }

    /// One `GETRANGE` of magic, format and state.
    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let key = self.key(id);
        let start = self.route.send(&key, &start_of(&key)).await.map_err(Failure::of_read)?;
        Ok(is_live(&start))
    }

    /// Counts as configured by [`Count`]; `None` with an application's connection, which does not
    /// know all servers.
    async fn count(&self) -> Result<Option<u64>> {
        if self.count == Count::Off {
            return Ok(None);
        }
        let masters = self.route.masters().await.map_err(Failure::of_read)?;
        crate::count::count(masters, self.count, &self.prefix).await
    }

    /// Does nothing: Redis removes expired records.
    async fn gc(&self, _limit: usize) -> Result<usize> {
        Ok(0)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        self.route.enumerates().then_some(self)
    }

    fn as_notify(&self) -> Option<&dyn Notify> {
        self.notices.then_some(self)
    }
}

impl fmt::Debug for RedisProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisProvider")
            .field("route", &self.route)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Returns whole milliseconds, rounded up; never zero, and not so many that the server's clock
/// would overflow.
pub(crate) fn millis(time: Duration) -> i64 {
    const MOST: u128 = 1 << 52;
    i64::try_from(time.as_nanos().div_ceil(1_000_000).clamp(1, MOST)).unwrap_or(1)
}
