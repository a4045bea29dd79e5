//! One server: its connections, and what a failure of theirs means.
//!
//! Each request has a connection to itself for one exchange. A connection whose exchange failed, or whose request was
//! dropped half-way, is closed, so that no answer is ever read by somebody else. A failure ends the idle connections too.

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

/// A call that is dropped after so long was probably not dropped by an impatient client: the server is
/// suspected of hanging, and what is idle to it is not used again.
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// A connection that was idle for longer may have been forgotten by a firewall, and is not used again.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// One memcached.
pub(crate) struct Server {
    /// As configured: what the hashing sees, and what errors say.
    pub(crate) name: String,
    way: Way,
}

/// How the server is reached.
enum Way {
    Own(Pool),
    /// The application's own client, which stays whatever happens.
    Given(AsyncMetaClient),
}

struct Pool {
    timeout: Duration,
    login: Option<Login>,
    turns: Semaphore,
    idle: Mutex<Idle>,
}

/// The connections that nobody uses. They are numbered: a failure ends the generation it happened in, and no later one.
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

    /// The servers behind a client that the application made.
    pub(crate) fn given(client: AsyncMetaClient) -> Self {
        Self { name: "memcached".to_owned(), way: Way::Given(client) }
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

    /// One round trip that says whether the server answers.
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
            Failure::Unresolved(error) => self.unavailable("its name has no address").with_source(error),
            Failure::Unsent(error, _) => self.unavailable("it cannot be reached").with_source(error),
            Failure::Unanswered(error) => self.lost(changes).with_source(error),
            Failure::Unintelligible => {
                self.lost(changes).with_source("what was answered is not memcached's protocol")
            }
        }
    }

    /// What a client of the application's own says. The key that it names is left out.
    fn explain_given(&self, error: ClientError, changes: bool) -> Error {
        match error {
            ClientError::Ambiguous { source, .. } => match *source {
                ClientError::Io(error) => self.lost(changes).with_source(error),
                _ => self.lost(changes),
            },
            ClientError::Io(error) => self.unavailable("it cannot be reached").with_source(error),
            ClientError::Timeout { .. } => self.unavailable("no answer in time"),
            // An answer that cannot be read may be the answer to a command that was carried out.
            ClientError::Protocol(_) => self.lost(changes),
            error => self.refused(&error),
        }
    }

    /// The server answered in words of its own, and did nothing.
    fn refused(&self, error: &ClientError) -> Error {
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
            ClientError::Rejected(answer) if answer.contains("unauthenticated") => self.error(
                ErrorKind::Config,
                "it asks for a login (-Y): give a user and a password, as in `memcache://user:password@host`",
            ),
            ClientError::Rejected(answer) if answer.contains("authentication failure") => {
                self.error(ErrorKind::Config, "it refused the login: check the user and the password")
            }
            ClientError::Rejected(_) => self.error(
                ErrorKind::Config,
                "it does not understand the meta commands: memcached 1.6 is needed (tested with 1.6.18)",
            ),
            ClientError::Usage(why) => self.error(ErrorKind::Config, why),
            _ => self.unavailable("the exchange failed"),
        }
    }

    fn lost(&self, changes: bool) -> Error {
        let kind = if changes { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        self.error(kind, "its answer was lost")
    }

    fn unavailable(&self, why: &'static str) -> Error {
        self.error(ErrorKind::Unavailable, why)
    }

    pub(crate) fn error(&self, kind: ErrorKind, why: &'static str) -> Error {
        Error::new(kind, format!("{}: {why}", self.name)).in_engine(crate::ENGINE)
    }
}

impl Pool {
    /// One exchange, on a connection that is idle or is opened for it.
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
                    // An idle connection had died, and nothing of the request has left: a new one can be tried.
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
        // The time ends around the whole exchange, whose own failure says how far it came.
        let result = match timeout(self.timeout, connection.exchange(request)).await {
            Ok(result) => result?,
            Err(_) => return Err(Failure::Unanswered(io::ErrorKind::TimedOut.into())),
        };
        understood(result).map(|value| (connection, value))
    }

    /// A connection that is idle, and the number of the present generation.
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

    /// Ends that generation: those in use are closed after their exchange, the idle ones now.
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

/// Before a connection is open nothing of a request has left, whatever went wrong.
fn while_opening(failure: Failure) -> Failure {
    match failure {
        Failure::Unanswered(error) => Failure::Unsent(error, 0),
        Failure::Unintelligible => unsent("what was answered is not memcached's protocol"),
        failure => failure,
    }
}

/// Notices a call that was given up after a while.
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
