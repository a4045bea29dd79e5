//! One open connection: sending commands on it, and noticing when it is of no use any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, Value, cmd};

use crate::error::{Failure, Fault};

/// A connection that is open, as far as we know. Clones share it: commands are sent one after the other without
/// waiting for each other's answers.
#[derive(Clone)]
pub(crate) struct Connection {
    driver: MultiplexedConnection,
    closed: Arc<AtomicBool>,
    /// A command was given up without an answer, and somebody is finding out what that means.
    doubted: Arc<AtomicBool>,
}

impl Connection {
    /// Over the driver's connection; `closed` is set by whoever sees it end.
    pub fn new(driver: MultiplexedConnection, closed: Arc<AtomicBool>) -> Self {
        Self { driver, closed, doubted: Arc::default() }
    }

    /// Whether commands should still be sent on it.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Sends a command and waits for its answer. When the future is dropped, the answer is read and thrown away
    /// in its turn: answers are never mixed up.
    pub async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut driver = self.driver.clone();
        let waiting = Waiting(Some(self));
        waiting.end(answer(driver.send_packed_command(command).await))
    }

    /// Sends several commands in one go. The server's refusals are among the answers.
    pub async fn send_all(&self, commands: impl Iterator<Item = Cmd>) -> Result<Vec<Value>, Failure> {
        let mut all = Pipeline::new();
        for command in commands {
            all.add_command(command);
        }
        self.send_pipeline(&all, 0).await
    }

    /// As [`send`](Self::send), to a cluster's node that is taking over the key's slot.
    #[cfg(feature = "cluster")]
    pub async fn send_asking(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command.clone());
        let mut answers = self.send_pipeline(&both, 1).await?;
        answer(Ok(answers.pop().unwrap_or(Value::Nil)))
    }

    async fn send_pipeline(&self, commands: &Pipeline, skip: usize) -> Result<Vec<Value>, Failure> {
        let count = commands.len() - skip;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut driver = self.driver.clone();
        let waiting = Waiting(Some(self));
        waiting.end(driver.send_packed_commands(commands, skip, count).await.map_err(failure))
    }

    /// Nothing more is sent on it; what is under way may still be answered.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Finds out whether a server that owes an answer answers at all; if not, the connection is closed.
    /// Returns at once when somebody is asking already.
    async fn probe(&self) {
        if self.doubted.swap(true, Ordering::AcqRel) {
            return;
        }
        // Not `send`: that this one is given up must not make another.
        let mut driver = self.driver.clone();
        match driver.send_packed_command(&cmd("PING")).await {
            Ok(_) => self.doubted.store(false, Ordering::Release),
            Err(_) => self.close(),
        }
    }
}

/// A command that has no answer yet. Dropped like that, it puts its connection in doubt: a server that hangs
/// is found out however short the callers' deadlines are.
struct Waiting<'a>(Option<&'a Connection>);

impl Waiting<'_> {
    fn end<T>(mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if let (Some(connection), Err(failure)) = (self.0.take(), &answer) {
            // A server that is a replica by now, or has other users: another connection may find another server.
            let of_no_use =
                matches!(failure, Failure::Lost(_)) || matches!(failure.code(), Some("READONLY" | "NOAUTH"));
            if of_no_use {
                connection.close();
            }
        }
        answer
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let (Some(connection), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            let connection = connection.clone();
            runtime.spawn(async move { connection.probe().await });
        }
    }
}

/// What the driver brings, as ours.
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
