//! The way to one server: a connection that all requests share, replaced when it breaks or hangs.
//!
//! Requests on a shared connection do not wait for each other's answers, so several connections would not be
//! faster (docs/redis.md has the measurement), and there is no pool whose connections could go stale. What the
//! driver's own reconnecting connection does not do is leave a server that hangs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::error::{Failure, Fault};
use crate::server::{Server, expect_mode};

/// How a connection to the right server is made. Displayed, it says which server that is.
#[async_trait]
pub(crate) trait Connect: fmt::Display + Send + Sync + 'static {
    async fn connect(&self) -> Result<Connection, Fault>;
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
        expect_mode(&hello, self.mode)?;
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
    connection: Mutex<Option<Connection>>,
    /// Held by the one who connects; keeps what came of the last failed attempt for those who waited for it.
    connecting: tokio::sync::Mutex<Option<(Instant, Fault)>>,
}

impl Link {
    /// A way that is not connected yet.
    pub fn new(way: impl Connect) -> Self {
        Self(Arc::new(Shared {
            way: Box::new(way),
            connection: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }))
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
        // On a task of its own: callers that give up must not make an attempt that takes long begin again.
        let (link, asked) = (self.clone(), Instant::now());
        let attempt = tokio::spawn(async move { link.connect(asked).await });
        Fault::of_task(attempt.await).map_err(Failure::NotSent)
    }

    async fn connect(&self, asked: Instant) -> Result<Connection, Fault> {
        let mut failed = self.0.connecting.lock().await;
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        if let Some((when, fault)) = &*failed
            && *when > asked
        {
            return Err(fault.clone());
        }
        match self.0.way.connect().await {
            Ok(connection) => {
                tracing::debug!(server = %self.0.way, "connected");
                *failed = None;
                *self.slot() = Some(connection.clone());
                Ok(connection)
            }
            Err(fault) => {
                // Said once in a row; while a server is down there are many.
                if failed.is_none() {
                    tracing::warn!(server = %self.0.way, error = %fault, "not connected, trying again with each request");
                }
                *failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    fn current(&self) -> Option<Connection> {
        self.slot().as_ref().filter(|connection| connection.is_open()).cloned()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
