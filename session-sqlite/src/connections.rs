//! Connections: one for writes and a few for reads, each with its own thread in the driver.
//!
//! A future may be dropped at any await. The driver then finishes the current statement and drops
//! its result: every command has its own channel, so no result reaches another caller. A connection
//! that is taken runs single statements, so no transaction is left open, and it can be reused; for a
//! transaction it is detached.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_core::{Error, ErrorKind, Result};
use session_sql::TableName;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::SqliteConfig;
use crate::failure::{Effect, failed};
use crate::{ENGINE, schema};

/// The connections that run statements.
pub(crate) enum Connections {
    Own(Box<Own>),
    /// The application's own pool.
    Given(SqlitePool),
}

/// What a connection is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One row by its key.
    Lookup,
    /// Any number of rows.
    Read,
    Write,
}

/// How long SQLite itself waits for a lock on a connection for writing, before it is asked again.
/// It checks less and less often, in the end every 100 ms, and so hardly ever finds the moment
/// between two transactions of a busy process.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Connections opened by this engine.
pub(crate) struct Own {
    options: SqliteConnectOptions,
    /// How long a write waits for another process.
    patience: Duration,
    writer: Lane,
    /// `None` for a database in memory, which has one connection only: it ends with it.
    readers: Option<Lane>,
    table: TableName,
}

/// This number of connections, opened on demand.
struct Lane {
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Connections {
    /// A database in a file, whose first connection is for writing.
    pub(crate) async fn file(
        options: SqliteConnectOptions,
        mut first: SqliteConnection,
        config: &SqliteConfig,
    ) -> Result<Self> {
        let wait = format!("PRAGMA busy_timeout = {}", config.busy_timeout.min(LOOK_AGAIN).as_millis());
        let set = sqlx::query(AssertSqlSafe(wait)).persistent(false).execute(&mut first).await;
        set.map_err(|error| failed("connect", Effect::Read, error))?;
        let (patience, table) = (config.busy_timeout, config.table.clone());
        let readers = Some(Lane::new(config.readers as usize, Vec::new()));
        Ok(Self::Own(Box::new(Own { options, patience, writer: Lane::new(1, vec![first]), readers, table })))
    }

    /// A database in memory, which is its only connection.
    pub(crate) fn memory(options: SqliteConnectOptions, only: SqliteConnection, table: TableName) -> Self {
        let writer = Lane::new(1, vec![only]);
        Self::Own(Box::new(Own { options, patience: Duration::ZERO, writer, readers: None, table }))
    }

    /// Returns whether waiting writes may be stored together: in a file that this engine has opened.
    /// A database in memory ends with its connection, which a failed transaction would close.
    pub(crate) fn groups(&self) -> bool {
        matches!(self, Self::Own(own) if own.readers.is_some())
    }

    /// How long to repeat a statement that finds the file locked.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Own(own) => own.patience,
            Self::Given(_) => Duration::ZERO,
        }
    }

    /// Takes the engine's own writer, unless it is in use.
    pub(crate) async fn take_free_writer(&self, operation: &'static str) -> Option<Result<Taken<'_>>> {
        let Self::Own(own) = self else { return None };
        let permit = own.writer.permits.try_acquire().ok()?;
        Some(own.hold(&own.writer, permit, operation).await)
    }

    /// Waits for a connection for a statement of this kind.
    pub(crate) async fn take(&self, operation: &'static str, work: Work) -> Result<Taken<'_>> {
        match self {
            Self::Own(own) => own.take(operation, work).await,
            Self::Given(pool) => match pool.acquire().await {
                Ok(connection) => Ok(Taken(Held::Given(connection))),
                // Nothing was sent, so the outcome is known.
                Err(error) => Err(failed(operation, Effect::Read, error)),
            },
        }
    }
}

impl Own {
    async fn take(&self, operation: &'static str, work: Work) -> Result<Taken<'_>> {
        let (lane, permit) = match (&self.readers, work) {
            // While nobody writes, the writer looks up rows too: its thread is awake, and its cache
            // holds the pages that it has written, which the readers would have to read again.
            (Some(readers), Work::Lookup) => match self.writer.permits.try_acquire() {
                Ok(permit) => (&self.writer, permit),
                Err(_) => (readers, readers.permit().await?),
            },
            (Some(readers), Work::Read) => (readers, readers.permit().await?),
            _ => (&self.writer, self.writer.permit().await?),
        };
        self.hold(lane, permit, operation).await
    }

    async fn hold<'a>(
        &self,
        lane: &'a Lane,
        permit: SemaphorePermit<'a>,
        operation: &'static str,
    ) -> Result<Taken<'a>> {
        let idle = lane.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open(lane).await.map_err(|error| error.during(operation))?,
        };
        Ok(Taken(Held::Own { connection: Some(connection), lane, permit: Some(permit) }))
    }

    async fn open(&self, lane: &Lane) -> Result<SqliteConnection> {
        let opened = if std::ptr::eq(lane, &raw const self.writer) {
            self.options.clone().busy_timeout(self.patience.min(LOOK_AGAIN)).connect().await
        } else {
            self.options.connect().await
        };
        let mut connection = opened.map_err(|error| failed("connect", Effect::Read, error))?;
        if self.readers.is_none() {
            // The sessions ended with the previous connection.
            schema::migrate(&mut connection, &self.table).await?;
        }
        Ok(connection)
    }
}

impl Lane {
    fn new(most: usize, idle: Vec<SqliteConnection>) -> Self {
        Self { permits: Semaphore::new(most), idle: Mutex::new(idle) }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let closed = |_| Error::new(ErrorKind::Unavailable, "the connections are closed").in_engine(ENGINE);
        self.permits.acquire().await.map_err(closed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use, returned when this is dropped, also by a dropped future.
pub(crate) struct Taken<'a>(Held<'a>);

enum Held<'a> {
    Own { connection: Option<SqliteConnection>, lane: &'a Lane, permit: Option<SemaphorePermit<'a>> },
    Given(PoolConnection<Sqlite>),
}

impl Taken<'_> {
    pub(crate) fn connection(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        match &mut self.0 {
            Held::Own { connection, .. } => connection.as_mut().ok_or(sqlx::Error::WorkerCrashed),
            Held::Given(connection) => Ok(connection),
        }
    }

    /// Takes the engine's own writer out. It stays in use until the returned [`Writing`] is dropped.
    pub(crate) fn detach(&mut self, all: &Arc<Connections>) -> sqlx::Result<(Writing, SqliteConnection)> {
        let Held::Own { connection, permit, .. } = &mut self.0 else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        let connection = connection.take().ok_or(sqlx::Error::WorkerCrashed)?;
        if let Some(permit) = permit.take() {
            permit.forget();
        }
        Ok((Writing(Arc::clone(all)), connection))
    }

    /// Checks whether an error ended the connection's thread: the next caller then replaces the
    /// connection.
    pub(crate) fn failed(&mut self, error: &sqlx::Error) {
        if let (Held::Own { connection, .. }, sqlx::Error::WorkerCrashed) = (&mut self.0, error) {
            *connection = None;
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Held::Own { connection, lane, .. } = &mut self.0 {
            // Returned before the permit is dropped.
            lane.idle().extend(connection.take());
        }
    }
}

/// The engine's own writer is in use.
pub(crate) struct Writing(Arc<Connections>);

impl Writing {
    /// Returns the detached connection. Otherwise the next caller opens another one.
    pub(crate) fn attach(&self, detached: SqliteConnection) {
        if let Connections::Own(own) = &*self.0 {
            own.writer.idle().push(detached);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Connections::Own(own) = &*self.0 {
            own.writer.permits.add_permits(1);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(own) if own.readers.is_none() => "Memory",
            Self::Own(_) => "File",
            Self::Given(_) => "Pool",
        })
    }
}
