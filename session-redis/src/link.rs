//! The connections to one server: all requests share a few, which are replaced when one breaks or
//! hangs.
//!
//! Requests on a shared connection do not wait for each other's answers, so there is no pool whose
//! connections could run out or become stale. One connection is enough unless another request waits
//! on it. Under load there are two, so that the server works on one batch while this process works
//! on another (docs/redis.md has the measurement). The driver's own reconnecting connection is not
//! used, because it does not leave a hanging server.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};
use tokio::time::{Instant, sleep};

use crate::backoff::Attempts;
use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::server::Server;

/// The maximum number of connections to one server.
const MOST: usize = 2;
/// The pause after a server has refused another connection.
const REST: Duration = Duration::from_secs(1);

/// Opens connections to the right server. `Display` names that server.
#[async_trait]
pub(crate) trait Connect: fmt::Display + Send + Sync + 'static {
    async fn connect(&self) -> Result<Connection, Fault>;

    /// Returns whether the server compares digests, as far as is known.
    fn compares_digests(&self) -> bool {
        false
    }

    /// Opens another connection to the server of an existing one.
    async fn another(&self, existing: &Connection) -> Result<Connection, Fault> {
        match existing.server() {
            Some(server) => server.connect().await.map(|(another, _)| another),
            None => self.connect().await,
        }
    }
}

/// A server by its address.
pub(crate) struct Direct {
    pub server: Server,
    /// The mode that it must have: `standalone` or `cluster`.
    pub mode: &'static str,
}

#[async_trait]
impl Connect for Direct {
    async fn connect(&self) -> Result<Connection, Fault> {
        let (connection, hello) = self.server.connect().await?;
        hello.expect_mode(self.mode)?;
        Ok(connection)
    }

    fn compares_digests(&self) -> bool {
        self.server.settings.compares_digests()
    }
}

impl fmt::Display for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// The connections to one server. Clones share them.
#[derive(Clone)]
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    connector: Box<dyn Connect>,
    /// All lead to the same server: after a failover, a mix could lead to different ones.
    connections: Mutex<Vec<Connection>>,
    /// Whether the last connections had served a command before they ended.
    served: AtomicBool,
    /// Held while another connection is being opened.
    growing: Arc<tokio::sync::Mutex<()>>,
    /// Held while connecting; contains the history of attempts.
    connecting: tokio::sync::Mutex<Attempts>,
}

impl Link {
    /// Creates a link that is not connected yet.
    pub fn new(connector: impl Connect) -> Self {
        Self(Arc::new(Shared {
            connector: Box::new(connector),
            connections: Mutex::default(),
            served: AtomicBool::default(),
            growing: Arc::default(),
            connecting: tokio::sync::Mutex::default(),
        }))
    }

    /// Returns the name of the server.
    pub fn name(&self) -> String {
        self.0.connector.to_string()
    }

    /// Returns whether the server compares digests, as far as is known.
    pub fn compares_digests(&self) -> bool {
        self.0.connector.compares_digests()
    }

    /// Sends a command, once.
    pub async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        self.connection().await?.send(command).await
    }

    /// Sends several commands in one batch. The server's refusals are among the answers.
    pub async fn send_all(&self, commands: impl Iterator<Item = Cmd>) -> Result<Vec<Value>, Failure> {
        self.connection().await?.send_all(commands).await
    }

    /// Like [`send`](Self::send), to a cluster node that is taking over the key's slot.
    #[cfg(feature = "cluster")]
    pub async fn send_asking(&self, command: &Cmd) -> Result<Value, Failure> {
        self.connection().await?.send_asking(command).await
    }

    /// Returns a connection, and connects if there is none.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        // While a server is down, most calls return here.
        if let Ok(attempts) = self.0.connecting.try_lock()
            && let Some(fault) = attempts.too_early()
        {
            return Err(Failure::NotSent(fault));
        }
        // On a separate task: callers that give up must not restart a long attempt.
        let (link, asked) = (self.clone(), Instant::now());
        let attempt = tokio::spawn(async move { link.connect(asked).await });
        Fault::of_task(attempt.await).map_err(Failure::NotSent)
    }

    async fn connect(&self, asked: Instant) -> Result<Connection, Fault> {
        let mut attempts = self.0.connecting.lock().await;
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        if let Some(fault) = attempts.since(asked).or_else(|| attempts.too_early()) {
            return Err(fault);
        }
        if let Some(pause) = attempts.pause(self.0.served.load(Ordering::Relaxed)) {
            sleep(pause).await;
        }
        match self.0.connector.connect().await {
            Ok(connection) => {
                tracing::debug!(server = %self.0.connector, "connected");
                attempts.succeeded();
                self.connections().push(connection.clone());
                Ok(connection)
            }
            Err(fault) => {
                // Logged once per outage, not once per request.
                if !attempts.have_failed() {
                    tracing::warn!(server = %self.0.connector, error = %fault, "connecting failed; \
                        the next request will retry");
                }
                let fault = fault.of_server(&self.0.connector);
                attempts.failed(&fault);
                Err(fault)
            }
        }
    }

    /// Returns the connection with the fewest waiting commands.
    fn current(&self) -> Option<Connection> {
        let mut connections = self.connections();
        // If one has ended, all are dropped: the server is gone, or the address leads to another
        // one.
        if !connections.iter().all(Connection::is_open) {
            self.0.served.store(connections.iter().any(Connection::has_served), Ordering::Relaxed);
            connections.clear();
        }
        let best = connections.iter().min_by_key(|connection| connection.waiting())?.clone();
        let more = connections.len() < MOST;
        drop(connections);
        if more && best.waiting() > 0 {
            self.open_another(&best);
        }
        Some(best)
    }

    /// Opens another connection to that server in the background, unless this is already in
    /// progress.
    fn open_another(&self, existing: &Connection) {
        let Ok(growing) = Arc::clone(&self.0.growing).try_lock_owned() else { return };
        let (link, existing) = (self.clone(), existing.clone());
        tokio::spawn(async move {
            match link.0.connector.another(&existing).await {
                Ok(another) => {
                    let mut connections = link.connections();
                    if connections.iter().any(|connection| connection.is(&existing)) {
                        connections.push(another);
                    }
                }
                Err(fault) => {
                    tracing::debug!(server = %link.0.connector, error = %fault, "opening another \
                        connection failed");
                    sleep(REST).await;
                }
            }
            drop(growing);
        });
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
