//! Statements that change rows. Those that wait for the writer are stored together, in one
//! transaction (a group commit): with `synchronous=full` they wait for the disk once.
//!
//! While the writer is free, a statement runs alone. Otherwise it joins the waiting ones, and a
//! task, the leader, stores them as soon as the writer is free. The leader belongs to no caller, so
//! a caller that gives up does not affect the others; the statement of one that gave up before the
//! transaction began is not run. An answer is sent after the commit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::{Error, ErrorKind, Result};
use sqlx::sqlite::{SqliteConnection, SqliteQueryResult};
use tokio::sync::oneshot;

use crate::ENGINE;
use crate::connections::{Connections, Taken, Work};
use crate::failure::{Effect, failed, is_busy, is_constraint, is_duplicate};
use crate::stored::Bound;

/// The maximum number of statements in a transaction: a few milliseconds.
const MOST: usize = 64;

/// The statements of a provider that change rows.
pub(crate) struct Writes {
    connections: Arc<Connections>,
    queue: Mutex<Queue>,
}

/// The statements that wait for the writer.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    /// Whether there is a leader, which takes all that wait.
    led: bool,
}

struct Write {
    operation: &'static str,
    query: Bound,
    answer: oneshot::Sender<Result<Changed>>,
}

/// The outcome of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// This number of rows, at least one.
    Rows(u64),
    /// No row matched, or the key already existed.
    Nothing,
}

impl Writes {
    pub(crate) fn new(connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { connections, queue: Mutex::default() })
    }

    /// Runs a statement.
    pub(crate) async fn change(self: &Arc<Self>, operation: &'static str, query: Bound) -> Result<Changed> {
        if !self.connections.groups() {
            let mut taken = self.connections.take(operation, Work::Write).await?;
            return alone(&mut taken, operation, query).await;
        }
        if let Some(taken) = self.connections.take_free_writer(operation).await {
            return alone(&mut taken?, operation, query).await;
        }
        let (answer, answered) = oneshot::channel();
        if self.queue().add(Write { operation, query, answer }) {
            tokio::spawn(Arc::clone(self).lead());
        }
        answered.await.unwrap_or_else(|_| {
            let message = "the runtime is shutting down";
            Err(Error::new(ErrorKind::OutcomeUnknown, message).in_engine(ENGINE).during(operation))
        })
    }

    /// Stores what waits, until nothing does.
    async fn lead(self: Arc<Self>) {
        let mut leading = Leading { writes: &self, more: true };
        loop {
            let taken = self.connections.take("write", Work::Write).await;
            let group = self.queue().take();
            if group.is_empty() {
                leading.more = false;
                return;
            }
            match taken {
                Ok(mut taken) => run(&mut taken, group).await,
                Err(error) => refuse(group.into_iter().map(Write::caller), error),
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leader. If it is dropped early, which happens when its runtime shuts down, the waiting
/// callers get an error, and the next write has a new leader.
struct Leading<'a> {
    writes: &'a Writes,
    more: bool,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if self.more {
            *self.writes.queue() = Queue::default();
        }
    }
}

impl Queue {
    /// Adds a statement. Returns whether it needs a leader.
    fn add(&mut self, write: Write) -> bool {
        self.waiting.push_back(write);
        !std::mem::replace(&mut self.led, true)
    }

    /// Takes the next group. After an empty one there is no leader.
    fn take(&mut self) -> Vec<Write> {
        let mut group = Vec::new();
        while group.len() < MOST
            && let Some(write) = self.waiting.pop_front()
        {
            if !write.answer.is_closed() {
                group.push(write);
            }
        }
        self.led = !group.is_empty();
        group
    }
}

/// A caller that waits: its operation, and the channel of its answer.
type Caller = (&'static str, oneshot::Sender<Result<Changed>>);

impl Write {
    fn caller(self) -> Caller {
        (self.operation, self.answer)
    }
}

/// Runs a statement as a transaction of its own.
async fn alone(taken: &mut Taken<'_>, operation: &'static str, query: Bound) -> Result<Changed> {
    let done = match taken.connection() {
        Ok(connection) => query.execute(connection).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &done {
        taken.failed(error);
    }
    changed(operation, done)
}

fn changed(operation: &'static str, done: sqlx::Result<SqliteQueryResult>) -> Result<Changed> {
    match done {
        Ok(done) if done.rows_affected() > 0 => Ok(Changed::Rows(done.rows_affected())),
        Ok(_) => Ok(Changed::Nothing),
        Err(error) if is_duplicate(&error) => Ok(Changed::Nothing),
        Err(error) => Err(failed(operation, Effect::Write, error)),
    }
}

async fn run(taken: &mut Taken<'_>, mut group: Vec<Write>) {
    if group.len() == 1
        && let Some(Write { operation, query, answer }) = group.pop()
    {
        let _ = answer.send(alone(taken, operation, query).await);
        return;
    }
    // Until the transaction has ended, the connection belongs to this future: if that is dropped,
    // the connection is closed, which undoes the transaction.
    match taken.detach() {
        Ok(mut connection) => {
            if together(&mut connection, group).await {
                taken.attach(connection);
            }
        }
        Err(error) => refuse(group.into_iter().map(Write::caller), failed("write", Effect::Read, error)),
    }
}

/// Runs the statements of a group in one transaction. Returns whether the connection may be used
/// again.
async fn together(connection: &mut SqliteConnection, group: Vec<Write>) -> bool {
    if let Err(error) = run_plain(connection, "BEGIN IMMEDIATE").await {
        let usable = is_busy(&error);
        refuse(group.into_iter().map(Write::caller), failed("write", Effect::Read, error));
        return usable;
    }
    let (mut done, mut group) = (Vec::with_capacity(group.len()), group.into_iter());
    while let Some(Write { operation, query, answer }) = group.next() {
        match query.execute(&mut *connection).await {
            // SQLite may have undone the whole transaction. Since it is not committed, nothing was
            // changed.
            Err(error) if !is_constraint(&error) => {
                let usable = run_plain(connection, "ROLLBACK").await.is_ok();
                let _ = answer.send(Err(failed(operation, Effect::Read, error)));
                let message = "another write in the same transaction failed; nothing was changed";
                let others = done.into_iter().map(|(caller, _)| caller).chain(group.map(Write::caller));
                refuse(others, Error::new(ErrorKind::Unavailable, message));
                return usable;
            }
            result => done.push(((operation, answer), changed(operation, result))),
        }
    }
    match run_plain(connection, "COMMIT").await {
        Ok(()) => {
            for ((_, answer), changed) in done {
                let _ = answer.send(changed);
            }
            true
        }
        Err(error) => {
            let usable = run_plain(connection, "ROLLBACK").await.is_ok();
            let callers = done.into_iter().map(|(caller, _)| caller);
            refuse(callers, failed("write", Effect::Write, error));
            usable
        }
    }
}

async fn run_plain(connection: &mut SqliteConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(connection).await.map(drop)
}

/// Answers all of them with this error.
fn refuse(callers: impl Iterator<Item = Caller>, error: Error) {
    let error = Arc::new(error);
    for (operation, answer) in callers {
        let same = Error::new(error.kind(), error.message().to_owned()).with_source(Arc::clone(&error));
        let _ = answer.send(Err(same.in_engine(ENGINE).during(operation)));
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("waiting", &self.queue().waiting.len()).finish_non_exhaustive()
    }
}
