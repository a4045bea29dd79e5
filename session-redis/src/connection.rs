//! One open connection: sends commands on it, and detects when it has become useless.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value, cmd};

use crate::error::{Failure, Fault};
use crate::server::Server;

/// A connection that is open, as far as is known. Clones share it: commands are pipelined, without
/// waiting for each other's answers.
#[derive(Clone)]
pub(crate) struct Connection {
    driver: MultiplexedConnection,
    state: Arc<State>,
}

/// The state of a connection.
pub(crate) struct State {
    /// The server; `None` for a connection from an application's pool.
    server: Option<Server>,
    /// The pool's object, which is returned with the last handle.
    #[cfg(feature = "deadpool")]
    lease: std::sync::Mutex<Option<crate::pool::Lease>>,
    closed: AtomicBool,
    /// A command was given up without an answer, and a probe is in progress.
    doubted: AtomicBool,
    /// A command has succeeded.
    served: AtomicBool,
    /// The number of commands without an answer.
    waiting: AtomicUsize,
}

impl State {
    /// The state of a connection to this server that is being opened.
    pub fn new(server: Option<Server>) -> Self {
        Self {
            server,
            #[cfg(feature = "deadpool")]
            lease: std::sync::Mutex::default(),
            closed: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            served: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The state of a connection from an application's pool.
    #[cfg(feature = "deadpool")]
    pub fn leased(lease: crate::pool::Lease) -> Self {
        Self { lease: std::sync::Mutex::new(Some(lease)), ..Self::new(None) }
    }

    /// Sends no more commands; commands in flight may still be answered.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        #[cfg(feature = "deadpool")]
        if let Some(lease) = self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            lease.discard();
        }
    }
}

impl Connection {
    /// Wraps the driver's connection. The code that sees it end must close the state.
    pub const fn new(driver: MultiplexedConnection, state: Arc<State>) -> Self {
        Self { driver, state }
    }

    /// Returns whether commands should still be sent on it.
    pub fn is_open(&self) -> bool {
        !self.state.closed.load(Ordering::Acquire)
    }

    /// Returns whether a command has succeeded on it.
    pub fn has_served(&self) -> bool {
        self.state.served.load(Ordering::Relaxed)
    }

    /// Returns how many commands wait for their answer.
    pub fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// Returns whether both are handles to the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Returns the server, unless the connection is from a pool.
    pub fn server(&self) -> Option<&Server> {
        self.state.server.as_ref()
    }

    /// Closes the connection after a failure that makes it useless: the server has become a
    /// replica, or has other users. Another connection may reach another server.
    pub fn note(&self, failure: &Failure) {
        if matches!(failure, Failure::Lost(_)) || matches!(failure.code(), Some("READONLY" | "NOAUTH")) {
            self.state.close();
        }
    }

    /// Sends no more commands on it.
    #[cfg(feature = "sentinel")]
    pub fn close(&self) {
        self.state.close();
    }

    /// Subscribes to a channel. RESP3 only.
    #[cfg(feature = "sentinel")]
    pub async fn subscribe(&self, channel: &str) -> Result<(), Fault> {
        self.driver.clone().subscribe(channel).await.map_err(|error| Fault::lost(&error))
    }

    /// Subscribes to the channels of a pattern. RESP3 only.
    pub async fn psubscribe(&self, pattern: &str) -> Result<(), Failure> {
        self.driver.clone().psubscribe(pattern).await.map_err(failure)
    }

    /// Sends a command and waits for its answer. When the future is dropped, the driver still reads
    /// the answer in its turn and discards it, so answers are never mixed up.
    pub async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut driver = self.driver.clone();
        let waiting = Waiting::on(self);
        waiting.end(answer(driver.send_packed_command(command).await))
    }

    /// Sends several commands in one batch. The server's refusals are among the answers.
    pub async fn send_all(&self, commands: impl Iterator<Item = Cmd>) -> Result<Vec<Value>, Failure> {
        let mut all = Pipeline::new();
        for command in commands {
            all.add_command(command);
        }
        self.send_pipeline(&all, 0).await
    }

    /// Like [`send`](Self::send), to a cluster node that is taking over the key's slot.
    #[cfg(feature = "cluster")]
    pub async fn send_asking(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command.clone());
        match self.send_pipeline(&both, 1).await?.pop() {
            Some(value) => answer(Ok(value)),
            None => Err(Failure::Lost(Fault::unavailable("the answer is missing"))),
        }
    }

    async fn send_pipeline(&self, commands: &Pipeline, skip: usize) -> Result<Vec<Value>, Failure> {
        let count = commands.len() - skip;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut driver = self.driver.clone();
        let waiting = Waiting::on(self);
        waiting.end(driver.send_packed_commands(commands, skip, count).await.map_err(failure))
    }

    /// Checks whether a server that owes an answer still answers; if not, closes the connection.
    /// Returns immediately if another probe is in progress.
    async fn probe(&self) {
        if self.state.doubted.swap(true, Ordering::AcqRel) {
            return;
        }
        // Not `send`: giving up this command must not start another probe.
        let mut driver = self.driver.clone();
        match driver.send_packed_command(&cmd("PING")).await {
            Ok(_) => self.state.doubted.store(false, Ordering::Release),
            Err(_) => self.state.close(),
        }
    }
}

/// A command without an answer. If it is dropped in this state, the connection is probed: a hanging
/// server is detected however short the callers' deadlines are.
struct Waiting<'a> {
    connection: &'a Connection,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn on(connection: &'a Connection) -> Self {
        connection.state.waiting.fetch_add(1, Ordering::Relaxed);
        Self { connection, answered: false }
    }

    fn end<T>(mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.answered = true;
        let state = &self.connection.state;
        match &answer {
            // A read before the write keeps the cache line shared between cores.
            Ok(_) if !state.served.load(Ordering::Relaxed) => state.served.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(failure) => self.connection.note(failure),
        }
        answer
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.connection.state.waiting.fetch_sub(1, Ordering::Relaxed);
        if !self.answered
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let connection = self.connection.clone();
            runtime.spawn(async move { connection.probe().await });
        }
    }
}

/// Converts the driver's result.
pub(crate) fn answer(result: Result<Value, RedisError>) -> Result<Value, Failure> {
    match result {
        Ok(Value::ServerError(error)) => Err(Failure::Refused(error)),
        Ok(value) => Ok(value),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: RedisError) -> Failure {
    error.try_into().map_or_else(|error| Failure::Lost(Fault::lost(&error)), Failure::Refused)
}
