//! The way to one server: a few connections that all requests share, replaced when one of them breaks or hangs.
//!
//! Requests on a shared connection do not wait for each other's answers, so there is no pool whose connections could
//! run out or go stale. One is enough as long as nobody else waits on it. Under load there are up to [`MOST`], so that
//! the server works on one batch while we work on another (docs/redis.md has the measurement). What the driver's own
//! reconnecting connection does not do is leave a server that hangs.

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

/// How many connections there are to one server.
const MOST: usize = 4;
/// A server that refuses another one is not asked again before this time.
const REST: Duration = Duration::from_secs(1);

/// How a connection to the right server is made. Displayed, it says which server that is.
#[async_trait]
pub(crate) trait Connect: fmt::Display + Send + Sync + 'static {
    async fn connect(&self) -> Result<Connection, Fault>;

    /// A further connection to the server that `beside` leads to.
    async fn another(&self, beside: &Connection) -> Result<Connection, Fault> {
        match beside.server() {
            Some(server) => server.connect().await.map(|(another, _)| another),
            None => self.connect().await,
        }
    }
}

/// A server by its address.
pub(crate) struct Direct {
    pub server: Server,
    /// What it must be: `standalone` or `cluster`.
    pub mode: &'static str,
}

#[async_trait]
impl Connect for Direct {
    async fn connect(&self) -> Result<Connection, Fault> {
        let (connection, hello) = self.server.connect().await?;
        hello.expect_mode(self.mode)?;
        Ok(connection)
    }
}

impl fmt::Display for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// The way to a server. Clones are the same.
#[derive(Clone)]
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    way: Box<dyn Connect>,
    /// To the same server, all of them: after a failover two would lead to different ones.
    connections: Mutex<Vec<Connection>>,
    /// The last ones were of use before they ended.
    served: AtomicBool,
    /// Held by the one who opens another one beside them.
    growing: Arc<tokio::sync::Mutex<()>>,
    /// Held by the one who connects; keeps what came of the last attempts.
    connecting: tokio::sync::Mutex<Attempts>,
}

impl Link {
    /// A way that is not connected yet.
    pub fn new(way: impl Connect) -> Self {
        Self(Arc::new(Shared {
            way: Box::new(way),
            connections: Mutex::default(),
            served: AtomicBool::default(),
            growing: Arc::default(),
            connecting: tokio::sync::Mutex::default(),
        }))
    }

    /// Which server it leads to, as text.
    pub fn name(&self) -> String {
        self.0.way.to_string()
    }

    /// Sends a command, once.
    pub async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        self.connection().await?.send(command).await
    }

    /// Sends several commands in one go. The server's refusals are among the answers.
    pub async fn send_all(&self, commands: impl Iterator<Item = Cmd>) -> Result<Vec<Value>, Failure> {
        self.connection().await?.send_all(commands).await
    }

    /// As [`send`](Self::send), to a cluster's node that is taking over the key's slot.
    #[cfg(feature = "cluster")]
    pub async fn send_asking(&self, command: &Cmd) -> Result<Value, Failure> {
        self.connection().await?.send_asking(command).await
    }

    /// Connects, unless there is a connection.
    pub async fn connection(&self) -> Result<Connection, Failure> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        // While a server is down, most calls end here.
        if let Ok(attempts) = self.0.connecting.try_lock()
            && let Some(fault) = attempts.too_early()
        {
            return Err(Failure::NotSent(fault));
        }
        // On a task of its own: callers that give up must not make an attempt that takes long begin again.
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
        match self.0.way.connect().await {
            Ok(connection) => {
                tracing::debug!(server = %self.0.way, "connected");
                attempts.succeeded();
                self.connections().push(connection.clone());
                Ok(connection)
            }
            Err(fault) => {
                // Logged once per outage, not once per request.
                if !attempts.have_failed() {
                    tracing::warn!(server = %self.0.way, error = %fault, "not connected, trying again when asked");
                }
                attempts.failed(&fault);
                Err(fault)
            }
        }
    }

    /// The one on which the fewest wait.
    fn current(&self) -> Option<Connection> {
        let mut connections = self.connections();
        // One that has ended is enough to know: the server is gone, or another one by now.
        if !connections.iter().all(Connection::is_open) {
            self.0.served.store(connections.iter().any(Connection::has_served), Ordering::Relaxed);
            connections.clear();
        }
        let best = connections.iter().min_by_key(|connection| connection.waiting())?.clone();
        let more = connections.len() < MOST;
        drop(connections);
        if more && best.waiting() > 0 {
            self.grow(&best);
        }
        Some(best)
    }

    /// Opens another connection to that server without anybody waiting for it, unless somebody does so already.
    fn grow(&self, beside: &Connection) {
        let Ok(growing) = Arc::clone(&self.0.growing).try_lock_owned() else { return };
        let (link, beside) = (self.clone(), beside.clone());
        tokio::spawn(async move {
            match link.0.way.another(&beside).await {
                Ok(another) => {
                    let mut connections = link.connections();
                    if connections.iter().any(|connection| connection.is(&beside)) {
                        connections.push(another);
                    }
                }
                Err(fault) => {
                    tracing::debug!(server = %link.0.way, error = %fault, "no further connection");
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
