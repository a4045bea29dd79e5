//! One server: its connections, and what a failure of theirs means.
//!
//! The client underneath gives each request a connection of its own for one exchange, and closes it when the
//! exchange fails or its future is dropped half-way, so that no answer is ever read by somebody else. What is
//! added here: a limit of connections, fresh ones (and a fresh look at the name's address) after a failure,
//! and errors without keys in them.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memcache::exp::{AsyncMetaClient, Error as ClientError, Get, GetResult, Operation};
use session_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use crate::MemcacheConfig;

/// A call that is dropped after so long was probably not dropped by an impatient client: the server is
/// suspected of hanging, and what is idle to it is not used again.
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// One memcached.
pub(crate) struct Server {
    /// As configured: what the hashing sees, and what errors say.
    pub(crate) name: String,
    timeout: Duration,
    connections: usize,
    turns: Semaphore,
    /// The connections, numbered: a failure ends the generation it happened in, and no later one.
    current: Mutex<(u64, Option<AsyncMetaClient>)>,
    /// The client is the application's own, and stays whatever happens.
    given: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Server {
    pub(crate) fn new(name: &str, config: &MemcacheConfig) -> Self {
        Self {
            name: name.to_owned(),
            timeout: config.timeout,
            connections: config.connections,
            turns: Semaphore::new(config.connections),
            current: Mutex::new((0, None)),
            given: false,
        }
    }

    /// Whatever stands behind a client that the application made.
    pub(crate) fn given(client: AsyncMetaClient) -> Self {
        Self {
            name: "memcached".to_owned(),
            timeout: Duration::MAX,
            connections: 0,
            turns: Semaphore::new(Semaphore::MAX_PERMITS),
            current: Mutex::new((0, Some(client))),
            given: true,
        }
    }

    /// Sends a command that reads. That it may slide the idle deadline is no change that a caller need know of, so
    /// a lost answer is `Unavailable`. One round trip, as for [`write`](Self::write); a connection is opened where
    /// none is idle.
    pub(crate) async fn read(&self, get: Get) -> Result<GetResult> {
        self.exchange(get, false).await
    }

    /// Sends a command that changes something, so that a lost answer is `OutcomeUnknown`.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.exchange(operation, true).await
    }

    async fn exchange<O: Operation>(&self, operation: O, changes: bool) -> Result<O::Output> {
        let _turn = self.turns.acquire().await.map_err(|_| self.unavailable("it is shut down"))?;
        let (generation, client) = self.client().await?;
        let mut watch = Watch { server: self, generation, since: Some(Instant::now()) };
        let result = client.run(operation).await;
        watch.since = None;
        result.map_err(|error| self.explain(error, changes, generation))
    }

    /// One round trip that says whether the server answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        let (generation, client) = self.client().await?;
        client.noop().await.map_err(|error| self.explain(error, false, generation))
    }

    async fn client(&self) -> Result<(u64, AsyncMetaClient)> {
        if let (generation, Some(client)) = &*self.current() {
            return Ok((*generation, client.clone()));
        }
        // Looks up the name; connections are made when they are needed.
        let client = AsyncMetaClient::builder()
            .connect_timeout(Some(self.timeout))
            .io_timeout(Some(self.timeout))
            .max_idle(self.connections)
            .connect_async(self.name.as_str())
            .await
            .map_err(|error| self.unavailable("its name has no address").with_source(plain(error)))?;
        let mut current = self.current();
        let client = current.1.get_or_insert(client).clone();
        Ok((current.0, client))
    }

    fn current(&self) -> MutexGuard<'_, (u64, Option<AsyncMetaClient>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the connections of that generation: those in use end with their exchange, the idle ones now.
    fn discard(&self, generation: u64) {
        let mut current = self.current();
        if current.0 == generation && !self.given {
            *current = (generation + 1, None);
        }
    }

    fn explain(&self, error: ClientError, changes: bool, generation: u64) -> Error {
        let (error, sent) = match error {
            ClientError::Ambiguous { source, .. } => (*source, true),
            error => (error, false),
        };
        match error {
            ClientError::Server(answer) if answer.contains("too large") => {
                let why = "the server refused it, and memcached then drops what was stored: \
                           set `item_max` to the server's own limit (its option -I)";
                self.error(ErrorKind::TooLarge, why)
            }
            ClientError::Server(answer) if answer.contains("out of memory") => {
                self.error(ErrorKind::Full, "it has no memory left and is told not to evict (-M)")
            }
            ClientError::Server(_) => self.unavailable("it answered with an error of its own"),
            ClientError::Rejected(_) => self.error(
                ErrorKind::Config,
                "it does not understand the meta commands: memcached 1.6 is needed (tested with 1.6.18)",
            ),
            ClientError::Usage(why) => self.error(ErrorKind::Config, why),
            error => {
                self.discard(generation);
                let (kind, why) = if sent && changes {
                    (ErrorKind::OutcomeUnknown, "its answer was lost")
                } else {
                    (ErrorKind::Unavailable, "it does not answer")
                };
                self.error(kind, why).with_source(plain(error))
            }
        }
    }

    fn unavailable(&self, why: &'static str) -> Error {
        self.error(ErrorKind::Unavailable, why)
    }

    pub(crate) fn error(&self, kind: ErrorKind, why: &'static str) -> Error {
        Error::new(kind, format!("{}: {why}", self.name)).in_engine(crate::ENGINE)
    }
}

/// The client's error without the key that it names.
fn plain(error: ClientError) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        ClientError::Io(error) => error.into(),
        ClientError::Timeout { .. } => "no answer in time".into(),
        ClientError::Protocol(_) => "what was answered is not memcached's protocol".into(),
        _ => "the exchange failed".into(),
    }
}

/// Notices a call that was given up after a while.
struct Watch<'a> {
    server: &'a Server,
    generation: u64,
    since: Option<Instant>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= SUSPICIOUS) {
            self.server.discard(self.generation);
        }
    }
}
