//! Statements that change rows. Those that wait for the writer are stored together, in one
//! transaction (a group commit): with `synchronous=full` they wait for the disk once.
//!
//! While the writer is free, a statement runs alone. Otherwise it joins the waiting ones, and its
//! caller waits for the answer and for the writer, whichever comes first: a caller that gets the
//! writer stores all that wait, in the order of their arrival, with its own among them. No task
//! stores for others, so a runtime that has ended or is not running delays only its own.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use session_core::clock::Clock;
use session_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteQueryResult;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::ENGINE;
use crate::connections::{Connections, Taken, Work};
use crate::failure::{Effect, failed, is_duplicate};
use crate::group::{self, Write};
use crate::stored::{Bound, Change};

/// The maximum number of statements in a transaction: a few milliseconds.
const MOST: usize = 64;

/// The statements of a provider that change rows.
pub(crate) struct Writes {
    connections: Arc<Connections>,
    pub(crate) clock: Arc<dyn Clock>,
    waiting: Mutex<VecDeque<Write>>,
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
    pub(crate) fn new(connections: Arc<Connections>, clock: Arc<dyn Clock>) -> Self {
        Self { connections, clock, waiting: Mutex::default() }
    }

    /// Runs a statement, and adds the current time to its arguments when it does.
    pub(crate) async fn change(&self, operation: &'static str, query: Bound) -> Result<Changed> {
        let change = Change::new(query, Arc::clone(&self.clock));
        let change = change.map_err(|error| failed(operation, Effect::Read, error))?;
        let patience = self.connections.patience();
        if !self.connections.groups() {
            let mut taken = self.connections.take(operation, Work::Write).await?;
            return alone(&mut taken, operation, &change, patience).await;
        }
        if let Some(taken) = self.connections.take_free_writer(operation).await {
            return alone(&mut taken?, operation, &change, patience).await;
        }
        let (write, answered) = Write::new(operation, change);
        self.waiting().push_back(write);
        let mut waiting = Waiting { writes: self, operation, answered };
        loop {
            match waiting.next().await {
                Next::Answer(answer) => return answer,
                Next::Writer(Ok(taken)) => group::store(taken, &self.connections, self.take()).await,
                Next::Writer(Err(error)) => group::refuse(self.take(), error),
            }
        }
    }

    /// Takes the next group.
    fn take(&self) -> Vec<Write> {
        let (mut waiting, mut group) = (self.waiting(), Vec::new());
        while group.len() < MOST
            && let Some(write) = waiting.pop_front()
        {
            if write.is_wanted() {
                group.push(write);
            }
        }
        group
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Write>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller whose statement waits.
struct Waiting<'a> {
    writes: &'a Writes,
    operation: &'static str,
    answered: oneshot::Receiver<Result<Changed>>,
}

/// What a waiting caller gets first.
enum Next<'a> {
    Answer(Result<Changed>),
    Writer(Result<Taken<'a>>),
}

impl<'a> Waiting<'a> {
    async fn next(&mut self) -> Next<'a> {
        let mut writer = pin!(self.writes.connections.take(self.operation, Work::Write));
        let unanswered = || {
            let error = Error::new(ErrorKind::OutcomeUnknown, "the transaction was abandoned");
            Err(error.in_engine(ENGINE).during(self.operation))
        };
        poll_fn(|context| {
            if let Poll::Ready(answer) = Pin::new(&mut self.answered).poll(context) {
                return Poll::Ready(Next::Answer(answer.unwrap_or_else(|_| unanswered())));
            }
            let Poll::Ready(taken) = writer.as_mut().poll(context) else { return Poll::Pending };
            // Answers are sent before the writer is released, so without one the statement waits.
            Poll::Ready(match self.answered.try_recv() {
                Ok(answer) => Next::Answer(answer),
                Err(TryRecvError::Closed) => Next::Answer(unanswered()),
                Err(TryRecvError::Empty) => Next::Writer(taken),
            })
        })
        .await
    }
}

/// The statement of a caller that gives up is not run, and is not kept either.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answered.close();
        let mut waiting = self.writes.waiting();
        while waiting.pop_front_if(|write| !write.is_wanted()).is_some() {}
    }
}

/// Runs a statement as a transaction of its own.
pub(crate) async fn alone(
    taken: &mut Taken<'_>,
    operation: &'static str,
    change: &Change,
    patience: Duration,
) -> Result<Changed> {
    let done = match taken.connection() {
        Ok(connection) => change.run(connection, patience).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &done {
        taken.failed(error);
    }
    changed(operation, done)
}

pub(crate) fn changed(operation: &'static str, done: sqlx::Result<SqliteQueryResult>) -> Result<Changed> {
    match done {
        Ok(done) if done.rows_affected() > 0 => Ok(Changed::Rows(done.rows_affected())),
        Ok(_) => Ok(Changed::Nothing),
        Err(error) if is_duplicate(&error) => Ok(Changed::Nothing),
        Err(error) => Err(failed(operation, Effect::Write, error)),
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes").field("waiting", &self.waiting().len()).finish_non_exhaustive()
    }
}
