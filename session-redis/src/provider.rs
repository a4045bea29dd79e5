//! The engine: each call is one command about one key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionLike;
use redis::{Client, Cmd, ToRedisArgs, Value, cmd};
use session_core::{
    Capabilities, Clock, Condition, DestroyOutcome, Durability, Error, ErrorKind, Provider, Record, Result,
    Stamp, State, StorageId, SystemClock, TOMBSTONE_TTL, TimeSource, WriteOutcome,
};

use crate::config::{PREFIX, RedisConfig};
use crate::error::Failure;
use crate::route::Route;
use crate::script::{REMOVE, REPLACE, Script};

/// Sessions in Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisProvider {
    route: Route,
    prefix: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl RedisConfig {
    /// The engine, not connected: that happens at the first request, and again whenever it must.
    ///
    /// [`Config`](ErrorKind::Config) when the settings contradict each other, need a feature of this crate that is
    /// not enabled, or name a certificate file that cannot be read.
    pub fn provider(self) -> Result<RedisProvider> {
        self.check()?;
        Ok(RedisProvider::over(Route::new(&self)?, &self.prefix))
    }

    /// The engine, after a connection was made: wrong passwords, wrong databases, and what is no Redis are told here.
    ///
    /// [`Config`](ErrorKind::Config) as said, [`Unavailable`](ErrorKind::Unavailable) when nobody answers.
    pub async fn connect(self) -> Result<RedisProvider> {
        let provider = self.provider()?;
        provider.route.connect().await.map_err(Failure::of_read)?;
        Ok(provider)
    }
}

impl RedisProvider {
    /// Over the server of a client that is configured already. The connection is our own, and replaced when it
    /// breaks. Prefix and times are those of [`RedisConfig`].
    pub fn from_client(client: &Client) -> Self {
        Self::over(Route::of_client(client), PREFIX)
    }

    /// Over a connection that the application has: a `MultiplexedConnection`, a `ConnectionManager`, a
    /// `ClusterConnection`. Reconnecting is the connection's business, and because it may send a command twice, a
    /// refused write says so. Does not count sessions, since nobody knows where the others are.
    pub fn from_connection<C>(connection: C) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::over(Route::own(connection), PREFIX)
    }

    /// The same with another prefix than `session:`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(crate) fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn over(route: Route, prefix: &str) -> Self {
        Self { route, prefix: prefix.into(), clock: Arc::new(SystemClock) }
    }

    fn key(&self, id: &StorageId) -> String {
        id.to_key(&self.prefix, usize::MAX)
    }

    async fn run(&self, script: &Script, key: &str, arguments: &[&[u8]]) -> Result<Value, Failure> {
        let command = |name: &str, script: &str| {
            let size: usize = arguments.iter().map(|argument| argument.len()).sum();
            let mut command = Cmd::with_capacity(4 + arguments.len(), script.len() + key.len() + size + 20);
            command.arg(name).arg(script).arg(1).arg(key).arg(arguments);
            command
        };
        match self.route.send(key, &command("EVALSHA", &script.sha)).await {
            // A server that was restarted or told to forget, or a new master. This brings it along.
            Err(failure) if failure.code() == Some("NOSCRIPT") => {
                self.route.send(key, &command("EVAL", script.code)).await
            }
            answer => answer,
        }
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
        "redis"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .slides_on_read(true)
            .native_expiry(true)
            .expiry_granularity(Duration::from_millis(1))
            .enumerable(self.route.enumerates())
            .time_source(TimeSource::Server)
            .durability(Durability::Server)
    }

    /// One `GETEX`.
    async fn read(&self, id: &StorageId, idle: Duration) -> Result<Option<Record>> {
        let key = self.key(id);
        let mut command = Cmd::with_capacity(4, key.len() + 40);
        command.arg("GETEX").arg(&key).arg("PX").arg(millis(idle));
        let answer = self.route.send(&key, &command).await.map_err(Failure::of_read)?;
        let Some(mut record) = record(answer, ErrorKind::Unavailable)? else { return Ok(None) };
        if record.is_live() {
            record.header.deadline = self.clock.now().after(idle);
        } else {
            self.unslide(key);
        }
        Ok(Some(record))
    }

    /// One `SET … NX GET`, or one script.
    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let key = self.key(id);
        let (value, ttl) = (record.encode()?, millis(ttl));
        let answer = match condition {
            Condition::Absent => {
                let mut command = Cmd::with_capacity(7, value.len() + key.len() + 40);
                command.arg("SET").arg(&key).arg(&value[..]).arg("NX").arg("GET").arg("PX").arg(ttl);
                match self.route.send(&key, &command).await.map_err(Failure::of_write)? {
                    Value::Nil => Value::Int(1),
                    current => current,
                }
            }
            Condition::Over(stamp) => {
                let version = stamp.version.0.to_be_bytes();
                let ttl = ttl.to_string();
                self.run(&REPLACE, &key, &[&version, &value, ttl.as_bytes()])
                    .await
                    .map_err(Failure::of_write)?
            }
        };
        match answer {
            Value::Int(_) => Ok(WriteOutcome::stored()),
            current => Ok(self.refused(self::record(current, ErrorKind::OutcomeUnknown)?)),
        }
    }

    /// One script; one more for a tombstone that cannot be read.
    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let key = self.key(id);
        let version = expected.map(|stamp| stamp.version.0.to_be_bytes());
        let version: &[u8] = version.as_ref().map_or(&[], |version| version);
        let answer = self.run(&REMOVE, &key, &[version]).await.map_err(Failure::of_write)?;
        if let Value::Int(_) = answer {
            return Ok(DestroyOutcome::Destroyed);
        }
        match record(answer, ErrorKind::OutcomeUnknown) {
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

    /// Walks through the keys of every master in steps of a thousand (`SCAN`), and looks at the state of each
    /// record, which holds up nobody but takes its time. A key that moves meanwhile may count twice.
    async fn count(&self) -> Result<Option<u64>> {
        let pattern = format!("{}*", escaped(&self.prefix));
        let mut total = 0;
        for master in self.route.masters().await.map_err(Failure::of_read)? {
            let mut cursor = String::from("0");
            loop {
                let mut command = cmd("SCAN");
                command.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
                let answer = master.send(&command).await.map_err(Failure::of_read)?;
                let (next, keys): (String, Vec<Vec<u8>>) = redis::from_redis_value(answer)
                    .map_err(|_| Error::new(ErrorKind::Unavailable, "the answer to SCAN cannot be read"))?;
                let starts = keys.iter().map(start_of);
                let starts = master.send_all(starts).await.map_err(Failure::of_read)?;
                total += starts.iter().filter(|start| is_live(start)).count() as u64;
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(self.route.enumerates().then_some(total))
    }

    /// Nothing to do: Redis removes what has expired.
    async fn gc(&self, _limit: usize) -> Result<usize> {
        Ok(0)
    }
}

impl RedisProvider {
    /// A tombstone that was read has slid like a session. This gives it back its short life, without anybody
    /// waiting: if it does not arrive, the tombstone lies there for one idle time and does no harm.
    fn unslide(&self, key: String) {
        let route = self.route.clone();
        tokio::spawn(async move {
            let mut command = cmd("PEXPIRE");
            command.arg(&key).arg(millis(TOMBSTONE_TTL)).arg("LT");
            let _ = route.send(&key, &command).await;
        });
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

/// Asks for the bytes of a record that say what it is.
fn start_of(key: impl ToRedisArgs) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(0).arg(4);
    command
}

/// Whether they are those of a session: magic, some format, and the state.
fn is_live(start: &Value) -> bool {
    matches!(start, Value::BulkString(start) if matches!(&start[..], [b'S', b'S', b'N', _, 0]))
}

/// The record in an answer; an answer that Redis does not give is an error of the kind `odd`.
fn record(answer: Value, odd: ErrorKind) -> Result<Option<Record>> {
    match answer {
        Value::BulkString(bytes) => Record::decode(bytes).map(Some),
        Value::Nil => Ok(None),
        _ => Err(Error::new(odd, "the server answered what Redis does not")),
    }
}

/// Whole milliseconds, rounded up; never zero, and not so many that the server's clock would overflow.
fn millis(time: Duration) -> i64 {
    const MOST: u128 = 1 << 52;
    i64::try_from(time.as_nanos().div_ceil(1_000_000).clamp(1, MOST)).unwrap_or(1)
}

/// The text as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
