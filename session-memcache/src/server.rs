//! One server: its connections, and the handling of their failures.
//!
//! Each request has its own connection for one exchange. A connection is closed if its exchange
//! failed or its request was dropped half-way, so that no other request reads its response. A
//! failure also closes the idle connections.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memcache::exp::{
    AsyncMetaClient, Error as ClientError, Get, GetResult, MetaCommandResult, Operation, ReturnCode,
    build_noop,
};
use session_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::MemcacheConfig;
use crate::connection::{Connection, Failure, Login};

/// If a call is dropped after this time, the server probably hangs: its idle connections are not
/// reused.
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// A connection that was idle for longer is not reused: a firewall may have dropped it.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// One memcached.
pub(crate) struct Server {
    /// The configured name, used for hashing and in errors.
    pub(crate) name: String,
    way: Way,
}

/// The connections to the server.
enum Way {
    Own(Pool),
    /// The application's own client, which is never replaced.
    Given(AsyncMetaClient),
}

struct Pool {
    timeout: Duration,
    login: Option<Login>,
    turns: Semaphore,
    idle: Mutex<Idle>,
}

/// The idle connections. A failure closes those of its generation, but no later ones.
#[derive(Default)]
struct Idle {
    generation: u64,
    connections: Vec<(Connection, Instant)>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Server {
    pub(crate) fn new(name: &str, config: &MemcacheConfig) -> Self {
        let pool = Pool {
            timeout: config.timeout,
            login: config.login.clone(),
            turns: Semaphore::new(config.connections),
            idle: Mutex::default(),
        };
        Self { name: name.to_owned(), way: Way::Own(pool) }
    }

    /// The servers of an application's client.
    pub(crate) fn given(client: AsyncMetaClient) -> Self {
        Self { name: "memcached".to_owned(), way: Way::Given(client) }
    }

    /// Sends a reading command. An extension of the idle deadline does not count as a change, so a
    /// lost response is `Unavailable`. One round trip, as for [`write`](Self::write); opens a
    /// connection if none is idle.
    pub(crate) async fn read(&self, get: Get) -> Result<GetResult> {
        self.exchange(get, false).await
    }

    /// Sends a changing command, for which a lost response is `OutcomeUnknown`.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.exchange(operation, true).await
    }

    async fn exchange<O: Operation>(&self, operation: O, changes: bool) -> Result<O::Output> {
        match &self.way {
            Way::Given(client) => {
                client.run(operation).await.map_err(|error| self.explain_given(error, changes))
            }
            Way::Own(pool) => {
                let request = operation.prepare().and_then(|command| command.encode());
                let request = request.map_err(|error| self.refused(&error))?;
                let answer = |result| operation.parse(result).map_err(|_| Failure::Unintelligible);
                pool.exchange(&self.name, &request, answer)
                    .await
                    .map_err(|failure| self.explain(failure, changes))
            }
        }
    }

    /// One round trip that checks whether the server responds.
    pub(crate) async fn ping(&self) -> Result<()> {
        match &self.way {
            Way::Given(client) => client.noop().await.map_err(|error| self.explain_given(error, false)),
            Way::Own(pool) => {
                let request = build_noop().encode().map_err(|error| self.refused(&error))?;
                let answer = |result: MetaCommandResult| {
                    if result.rc == ReturnCode::Mn { Ok(()) } else { Err(Failure::Unintelligible) }
                };
                pool.exchange(&self.name, &request, answer)
                    .await
                    .map_err(|failure| self.explain(failure, false))
            }
        }
    }

    fn explain(&self, failure: Failure, changes: bool) -> Error {
        match failure {
            Failure::Refused(error) => self.refused(&error),
            Failure::Unresolved(error) => self.unavailable("its name cannot be resolved").with_source(error),
            Failure::Unsent(error, _) => self.unavailable("it cannot be reached").with_source(error),
            Failure::Unanswered(error) => self.lost(changes).with_source(error),
            Failure::Unintelligible => {
                self.lost(changes).with_source("the response is not memcached's protocol")
            }
        }
    }

    /// Classifies an error of the application's client. Omits the key that it names.
    fn explain_given(&self, error: ClientError, changes: bool) -> Error {
        match error {
            ClientError::Ambiguous { source, .. } => match *source {
                ClientError::Io(error) => self.lost(changes).with_source(error),
                _ => self.lost(changes),
            },
            ClientError::Io(error) => self.unavailable("it cannot be reached").with_source(error),
            ClientError::Timeout { .. } => self.unavailable("no response in time"),
            // An unreadable response may belong to a command that was executed.
            ClientError::Protocol(_) => self.lost(changes),
            error => self.refused(&error),
        }
    }

    /// The server returned an error message and did nothing.
    fn refused(&self, error: &ClientError) -> Error {
        match error {
            ClientError::Server(answer) if answer.contains("too large") => {
                let why = "the server refused it, and memcached then removes the stored item: \
                           set `item_max` to the server's own limit (its option -I)";
                self.error(ErrorKind::TooLarge, why)
            }
            ClientError::Server(answer) if answer.contains("out of memory") => {
                self.error(ErrorKind::Full, "it has no memory left and may not evict (-M)")
            }
            ClientError::Server(_) => self.unavailable("it responded with an error"),
            ClientError::Rejected(answer) if answer.contains("unauthenticated") => self.error(
                ErrorKind::Config,
                "it requires a login (-Y): give a user and a password, as in `memcache://user:password@host`",
            ),
            ClientError::Rejected(answer) if answer.contains("authentication failure") => {
                self.error(ErrorKind::Config, "it refused the login: check the user and the password")
            }
            ClientError::Rejected(_) => self.error(
                ErrorKind::Config,
                "it does not support the meta commands: memcached 1.6 is needed (tested with 1.6.18)",
            ),
            ClientError::Usage(why) => self.error(ErrorKind::Config, why),
            _ => self.unavailable("the exchange failed"),
        }
    }

    fn lost(&self, changes: bool) -> Error {
        let kind = if changes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        self.error(kind, "its response was lost")
    }

    fn unavailable(&self, why: &'static str) -> Error {
        self.error(ErrorKind::Unavailable, why)
    }

    pub(crate) fn error(&self, kind: ErrorKind, why: &'static str) -> Error {
        Error::new(kind, format!("{}: {why}", self.name)).in_engine(crate::ENGINE)
    }
}

impl Pool {
    /// One exchange, on an idle or a new connection.
    async fn exchange<T>(
        &self,
        name: &str,
        request: &[u8],
        understood: impl Fn(MetaCommandResult) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let turn = timeout(self.timeout, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| unsent("all connections were in use for too long"))?;
        loop {
            let (generation, idle) = self.take();
            let was_idle = idle.is_some();
            let mut watch = Watch { pool: self, generation, since: Some(Instant::now()) };
            let result = self.try_exchange(name, idle, request, &understood).await;
            watch.since = None;
            match result {
                Ok((connection, value)) => {
                    self.put_back(generation, connection);
                    return Ok(value);
                }
                Err(Failure::Refused(error)) => return Err(Failure::Refused(error)),
                Err(failure) => {
                    self.discard(generation);
                    // An idle connection was dead and nothing was sent: try a new one.
                    match failure {
                        Failure::Unsent(_, 0) if was_idle => {}
                        failure => return Err(failure),
                    }
                }
            }
        }
    }

    async fn try_exchange<T>(
        &self,
        name: &str,
        idle: Option<Connection>,
        request: &[u8],
        understood: impl Fn(MetaCommandResult) -> Result<T, Failure>,
    ) -> Result<(Connection, T), Failure> {
        let mut connection = match idle {
            Some(connection) => connection,
            None => match timeout(self.timeout, Connection::open(name, self.login.as_ref())).await {
                Ok(opened) => opened.map_err(while_opening)?,
                Err(_) => return Err(unsent("connecting took too long")),
            },
        };
        // The timeout covers the whole exchange, whose own failure says how far it got.
        let result = match timeout(self.timeout, connection.exchange(request)).await {
            Ok(result) => result?,
            Err(_) => return Err(Failure::Unanswered(io::ErrorKind::TimedOut.into())),
        };
        understood(result).map(|value| (connection, value))
    }

    /// An idle connection, if any, and the current generation.
    fn take(&self) -> (u64, Option<Connection>) {
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.connections.pop() {
            if since.elapsed() <= MAX_IDLE && connection.is_quiet() {
                return (idle.generation, Some(connection));
            }
        }
        (idle.generation, None)
    }

    fn put_back(&self, generation: u64, connection: Connection) {
        let mut idle = self.idle();
        if idle.generation == generation {
            idle.connections.push((connection, Instant::now()));
        }
    }

    /// Ends that generation: connections in use are closed after their exchange, idle ones now.
    fn discard(&self, generation: u64) {
        let mut idle = self.idle();
        if idle.generation == generation {
            *idle = Idle { generation: generation + 1, connections: Vec::new() };
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unsent(why: &'static str) -> Failure {
    Failure::Unsent(io::Error::other(why), 0)
}

/// Before a connection is open, nothing of a request has been sent.
fn while_opening(failure: Failure) -> Failure {
    match failure {
        Failure::Unanswered(error) => Failure::Unsent(error, 0),
        Failure::Unintelligible => unsent("the response is not memcached's protocol"),
        failure => failure,
    }
}

/// Notices a call that was dropped after a while.
struct Watch<'a> {
    pool: &'a Pool,
    generation: u64,
    since: Option<Instant>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= SUSPICIOUS) {
            self.pool.discard(self.generation);
        }
    }
}
