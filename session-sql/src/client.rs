//! Runs a statement in one round trip and reports its outcome, or that the outcome is unknown.

use std::fmt;
use std::time::Duration;

use session_core::{Error, ErrorKind, Result};
use sqlx::{Database, Execute, Executor};

use crate::connect::Unfit;
use crate::failure::ATTEMPTS;
use crate::{Failure, Lease, Pool, cause};

/// The driver-specific part of an engine.
pub struct Driver<DB: Database> {
    /// The engine's name.
    pub engine: &'static str,
    /// Classifies a driver error.
    pub classify: fn(&sqlx::Error) -> Failure,
    /// Whether the server's message for an error may quote stored values.
    pub quotes_values: fn(&sqlx::Error) -> bool,
    /// The number of rows that a statement matched.
    pub rows_affected: fn(&DB::QueryResult) -> u64,
}

/// Whether a statement changes something, which decides the error kind of a lost response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads: [`ErrorKind::Unavailable`].
    Read,
    /// It writes: [`ErrorKind::OutcomeUnknown`].
    Write,
}

/// The outcome of a statement that changes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// The number of rows that matched.
    Rows(u64),
    /// Another row already has that key; nothing was done.
    Duplicate,
}

/// Runs statements on a [`Pool`].
pub struct Client<DB: Database> {
    pool: Pool<DB>,
    driver: &'static Driver<DB>,
    /// Advice for a missing or different table.
    remedy: String,
}

impl<DB: Database> Client<DB> {
    /// Runs statements on this pool; `remedy` is the advice for a missing or different table.
    pub const fn new(pool: Pool<DB>, driver: &'static Driver<DB>, remedy: String) -> Self {
        Self { pool, driver, remedy }
    }

    /// The connections.
    pub const fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// The error for a connection that could not be obtained; nothing was sent.
    pub fn not_connected(&self, operation: &'static str, error: sqlx::Error) -> Error {
        let (kind, message) = self.driver.not_connected(&error);
        self.error(operation, Failure::Refused(kind, message), error)
    }

    /// The error for a statement that failed, or for a row that could not be read.
    pub fn failed(&self, operation: &'static str, effect: Effect, error: sqlx::Error) -> Error {
        let failure = match (self.driver.classify)(&error) {
            Failure::Lost if effect == Effect::Read => {
                Failure::Refused(ErrorKind::Unavailable, "the connection was lost".into())
            }
            failure => failure,
        };
        self.error(operation, failure, error)
    }

    fn error(&self, operation: &'static str, failure: Failure, error: sqlx::Error) -> Error {
        let quotes_values = (self.driver.quotes_values)(&error);
        // Errors of the engine itself have a message.
        let is_ours = Unfit::of(&error).is_some();
        let cause = cause(error, quotes_values);
        let (kind, message) = match failure {
            Failure::Refused(kind, message) => (kind, message),
            Failure::Moved(message) | Failure::Locked(message) => (ErrorKind::Unavailable, message),
            Failure::Again | Failure::Renew => {
                (ErrorKind::Unavailable, format!("undone by the server {ATTEMPTS} times in a row").into())
            }
            Failure::Duplicate => (ErrorKind::Unavailable, "refused by a unique index".into()),
            Failure::Lost => (ErrorKind::OutcomeUnknown, "the connection was lost before the answer".into()),
            Failure::Schema => (ErrorKind::Config, format!("{cause}; {}", self.remedy).into()),
        };
        let error = Error::new(kind, message).in_engine(self.driver.engine).during(operation);
        if is_ours { error } else { error.with_source(cause) }
    }
}

impl<DB: Database> Client<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// The rows that a statement returns. `statement` creates it for each attempt.
    pub fn fetch<E: Execute<'static, DB> + 'static>(
        &self,
        operation: &'static str,
        statement: impl Fn() -> E + Send,
    ) -> impl Future<Output = Result<Vec<DB::Row>>> + Send {
        self.rows(operation, Effect::Read, statement)
    }

    /// The rows that a statement returns; it may change rows.
    pub async fn rows<E: Execute<'static, DB> + 'static>(
        &self,
        operation: &'static str,
        effect: Effect,
        statement: impl Fn() -> E + Send,
    ) -> Result<Vec<DB::Row>> {
        let mut sent = 0;
        loop {
            let mut lease = self.lease(operation).await?;
            let connection = lease.connection().map_err(|error| self.not_connected(operation, error))?;
            match connection.fetch_all(statement()).await {
                Ok(rows) => {
                    lease.keep();
                    return Ok(rows);
                }
                Err(error) => {
                    let failure = self.settle(lease, &error);
                    sent += 1;
                    if !failure.may_pass(sent) {
                        return Err(self.failed(operation, effect, error));
                    }
                    pause(sent).await;
                }
            }
        }
    }

    /// Runs a statement that changes rows and returns none.
    pub async fn execute<E: Execute<'static, DB> + 'static>(
        &self,
        operation: &'static str,
        statement: impl Fn() -> E + Send,
    ) -> Result<Executed> {
        let mut sent = 0;
        loop {
            let mut lease = self.lease(operation).await?;
            let connection = lease.connection().map_err(|error| self.not_connected(operation, error))?;
            match connection.execute(statement()).await {
                Ok(done) => {
                    lease.keep();
                    return Ok(Executed::Rows((self.driver.rows_affected)(&done)));
                }
                Err(error) => {
                    let failure = self.settle(lease, &error);
                    sent += 1;
                    match failure {
                        Failure::Duplicate => return Ok(Executed::Duplicate),
                        failure if failure.may_pass(sent) => pause(sent).await,
                        _ => return Err(self.failed(operation, Effect::Write, error)),
                    }
                }
            }
        }
    }

    async fn lease(&self, operation: &'static str) -> Result<Lease<DB>> {
        self.pool.lease().await.map_err(|error| self.not_connected(operation, error))
    }

    /// Decides whether the connection is kept after an error.
    fn settle(&self, lease: Lease<DB>, error: &sqlx::Error) -> Failure {
        let failure = (self.driver.classify)(error);
        match &failure {
            Failure::Lost | Failure::Moved(_) => lease.broken(),
            // The server stops reading a statement that is too large.
            Failure::Renew | Failure::Refused(ErrorKind::TooLarge, _) => lease.close(),
            _ => lease.keep(),
        }
        failure
    }
}

/// Lets the competing transactions finish.
async fn pause(sent: u32) {
    if sent > 1 {
        let most = Duration::from_millis(2 << sent.min(6));
        Box::pin(tokio::time::sleep(most.mul_f64(rand::random_range(0.0..1.0)))).await;
    }
}

impl<DB: Database> fmt::Debug for Client<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl<DB: Database> fmt::Debug for Driver<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("engine", &self.engine).finish_non_exhaustive()
    }
}
