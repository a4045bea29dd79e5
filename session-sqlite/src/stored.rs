//! A record with the values of its columns, as the arguments of statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::Result;
use session_core::clock::{Clock, Timestamp};
use session_core::id::StorageId;
use session_core::record::Record;
use session_sql::key;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteQueryResult};
use sqlx::{Execute as _, SqlStr};

use crate::failure::is_busy;
use crate::statements::Statement;

pub(crate) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement that changes rows, without its last argument, the current time, which is added each
/// time it runs. The driver shares the arguments, so that copies are cheap.
pub(crate) struct Change {
    sql: SqlStr,
    arguments: SqliteArguments,
    clock: Arc<dyn Clock>,
}

impl Change {
    pub(crate) fn new(mut query: Bound, clock: Arc<dyn Clock>) -> sqlx::Result<Self> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
        Ok(Self { sql: query.sql(), arguments, clock })
    }

    /// Runs it, repeatedly while another process has locked the file, for this time.
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        patience: Duration,
    ) -> sqlx::Result<SqliteQueryResult> {
        let query = || {
            let query = sqlx::query_with(self.sql.clone(), self.arguments.clone());
            query.bind(millis(self.clock.now()))
        };
        patiently(connection, patience, query).await
    }
}

/// Runs a statement, repeatedly while another process has locked the file, for this time.
pub(crate) async fn patiently(
    connection: &mut SqliteConnection,
    patience: Duration,
    query: impl Fn() -> Bound,
) -> sqlx::Result<SqliteQueryResult> {
    let begun = Instant::now();
    loop {
        match query().execute(&mut *connection).await {
            Err(error) if is_busy(&error) && begun.elapsed() < patience => {}
            done => return done,
        }
    }
}

/// A record with the values of all its columns: seven arguments in the order of the statements.
pub(crate) struct Stored {
    pub key: String,
    data: Vec<u8>,
    pub expiry: i64,
    absolute: i64,
    version: i64,
    owner: Option<Vec<u8>>,
    moved: bool,
}

impl Stored {
    pub fn new(id: &StorageId, record: &Record, ttl: Duration, now: Timestamp) -> Result<Self> {
        let header = &record.header;
        Ok(Self {
            key: key(id),
            data: record.encode()?,
            expiry: millis(now.after(ttl).min(header.absolute)),
            absolute: millis(header.absolute),
            version: header.version().0.cast_signed(),
            owner: header.owner.map(|owner| owner.0.to_vec()),
            moved: !record.is_live(),
        })
    }

    pub fn bind(self, statement: &Statement) -> Bound {
        self.bind_to(statement.query())
    }

    pub fn bind_to(self, query: Bound) -> Bound {
        query
            .bind(self.key)
            .bind(self.data)
            .bind(self.expiry)
            .bind(self.absolute)
            .bind(self.version)
            .bind(self.owner)
            .bind(self.moved)
    }
}

/// The latest time that is stored, so that nothing overflows.
const LATEST: i64 = i64::MAX / 2;

pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(LATEST).min(LATEST)
}
