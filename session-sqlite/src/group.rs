//! Several statements in one transaction, each with its own answer, sent after the commit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use session_core::{Error, Result};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use crate::ENGINE;
use crate::connections::{Connections, Taken, Writing};
use crate::failure::{Effect, failed, is_busy, is_duplicate, is_of_one_statement, is_undone};
use crate::stored::{Change, patiently};
use crate::writes::{Changed, alone, changed};

/// A statement that waits, and the channel of its answer. It may be run again after its transaction
/// was undone.
pub(crate) struct Write {
    operation: &'static str,
    change: Change,
    answer: oneshot::Sender<Result<Changed>>,
}

impl Write {
    pub(crate) fn new(operation: &'static str, change: Change) -> (Self, oneshot::Receiver<Result<Changed>>) {
        let (answer, answered) = oneshot::channel();
        (Self { operation, change, answer }, answered)
    }

    /// Whether the caller still waits.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn answer(self, answer: Result<Changed>) {
        let _ = self.answer.send(answer);
    }
}

/// Stores a group with the engine's own writer.
pub(crate) async fn store(mut taken: Taken<'_>, connections: &Arc<Connections>, mut group: Vec<Write>) {
    if group.len() == 1
        && let Some(write) = group.pop()
    {
        let answer = alone(&mut taken, write.operation, &write.change, connections.patience()).await;
        return write.answer(answer);
    }
    match taken.detach(connections) {
        Ok((writing, connection)) => {
            let patience = connections.patience();
            Finished(Some(Box::pin(run(writing, connection, group, patience)))).await;
        }
        Err(error) => refuse(group, failed("write", Effect::Read, error)),
    }
}

/// Answers all of them with this error.
pub(crate) fn refuse(group: Vec<Write>, error: Error) {
    let error = Arc::new(error);
    for write in group {
        let same = Error::new(error.kind(), error.message().to_owned()).with_source(Arc::clone(&error));
        let same = same.in_engine(ENGINE).during(write.operation);
        write.answer(Err(same));
    }
}

/// A transaction that runs in place. If the caller that runs it gives up, the rest moves to a
/// thread: the other statements do not depend on that caller, and no transaction stays open because
/// a runtime is not running.
struct Finished(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Finished {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Taken out while it runs, so that a transaction that panics is not continued on drop.
        let Some(mut rest) = self.0.take() else { return Poll::Ready(()) };
        let poll = rest.as_mut().poll(context);
        if poll.is_pending() {
            self.0 = Some(rest);
        }
        poll
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take() {
            let thread = thread::Builder::new().name("session-sqlite-rest".to_owned());
            // Without a thread the connection is closed, which undoes the transaction.
            let _ = thread.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.map(|runtime| runtime.block_on(rest))
            });
        }
    }
}

/// Runs a group. The connection belongs to this future: if that is dropped, the connection is
/// closed, which undoes the transaction.
async fn run(writing: Writing, mut connection: SqliteConnection, mut group: Vec<Write>, patience: Duration) {
    let usable = match together(&mut connection, &mut group, patience).await {
        Ok(answers) => {
            group.into_iter().zip(answers).for_each(|(write, answer)| write.answer(answer));
            true
        }
        Err(Failure { error, usable: true, .. }) if is_of_one_statement(&error) => {
            one_by_one(&mut connection, group, patience).await
        }
        Err(Failure { error, effect, usable }) => {
            refuse(group, failed("write", effect, error));
            usable
        }
    };
    if usable {
        writing.attach(connection);
    }
}

/// The reason why a transaction was undone.
struct Failure {
    error: sqlx::Error,
    /// Whether it may have been committed nevertheless.
    effect: Effect,
    /// Whether the connection may be used again, because no transaction is open.
    usable: bool,
}

/// Runs a group in one transaction. The statements of callers that have given up before it began
/// are removed.
async fn together(
    connection: &mut SqliteConnection,
    group: &mut Vec<Write>,
    patience: Duration,
) -> std::result::Result<Vec<Result<Changed>>, Failure> {
    let begin = || sqlx::query("BEGIN IMMEDIATE");
    if let Err(error) = patiently(connection, patience, begin).await {
        return Err(Failure { usable: is_busy(&error), effect: Effect::Read, error });
    }
    group.retain(Write::is_wanted);
    let mut answers = Vec::with_capacity(group.len());
    for write in &*group {
        match write.change.run(connection, Duration::ZERO).await {
            // SQLite may have undone the whole transaction, after which further statements would be
            // committed one by one.
            Err(error) if !is_duplicate(&error) => return Err(undo(connection, Effect::Read, error).await),
            result => answers.push(changed(write.operation, result)),
        }
    }
    match run_plain(connection, "COMMIT").await {
        Ok(()) => Ok(answers),
        Err(error) => Err(undo(connection, Effect::Write, error).await),
    }
}

async fn undo(connection: &mut SqliteConnection, effect: Effect, error: sqlx::Error) -> Failure {
    let undone = run_plain(connection, "ROLLBACK").await;
    Failure { error, effect, usable: undone.is_ok() || undone.is_err_and(|error| is_undone(&error)) }
}

/// Runs each statement as a transaction of its own, so that one that cannot be stored does not fail
/// the others. Returns whether the connection may be used again.
async fn one_by_one(connection: &mut SqliteConnection, group: Vec<Write>, patience: Duration) -> bool {
    let mut usable = true;
    for write in group.into_iter().filter(Write::is_wanted) {
        let done = write.change.run(connection, patience).await;
        usable &= !matches!(done, Err(sqlx::Error::WorkerCrashed));
        let answer = changed(write.operation, done);
        write.answer(answer);
    }
    usable
}

async fn run_plain(connection: &mut SqliteConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(connection).await.map(drop)
}
