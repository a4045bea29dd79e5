//! The provider: sends the statements of each operation, and interprets the answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{
    Condition, DestroyOutcome, Indexed, Notify, OwnerIndex, Rename, Scan, TOMBSTONE_TTL, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};
use session_sql::{Client, Collector, Effect, Executed, Migrate, Pool, PoolStatus, TableName, key, step};
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgPool, PgRow, Postgres};
use sqlx::{Row, TypeInfo, ValueRef};

use crate::connect::Connector;
use crate::failure::{DRIVER, ENGINE};
use crate::request::{Arg, Request, Statement};
use crate::schema::{self, REMEDY};
use crate::statements::Statements;
use crate::stored::{Stored, interval};
use crate::{PostgresConfig, notices};

/// Sessions in a table of PostgreSQL.
#[derive(Debug)]
pub struct PostgresProvider {
    pub(crate) client: Client<Postgres>,
    pub(crate) connector: Arc<Connector>,
    collector: Collector,
    pub(crate) statements: Statements,
    pub(crate) notices: bool,
    table: TableName,
    clock: Arc<dyn Clock>,
}

impl PostgresProvider {
    /// Connects, so that a wrong address or password is reported immediately; with `migrate` set,
    /// also creates the table.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when the server refuses user, password, database
    /// or TLS, [`Unavailable`](session_core::ErrorKind::Unavailable) when it cannot be reached
    /// within `connect_timeout`.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        let (migrate, notices) = (config.settings.migrate, config.notices);
        let provider = Self::connect_lazy(config);
        let lease = provider.client.pool().lease().await;
        lease.map_err(|error| provider.client.not_connected("connect", error))?.keep();
        match migrate {
            Migrate::No => {}
            Migrate::Check => provider.check().await?,
            Migrate::Yes => provider.migrate().await?,
        }
        if notices {
            provider.listen().await?;
        }
        Ok(provider)
    }

    /// Connects at the first request, so that the service starts even while the server is down.
    pub fn connect_lazy(config: PostgresConfig) -> Self {
        let (table, settings, notices) = (config.settings.table.clone(), &config.settings, config.notices);
        let (most, timeout) = (settings.max_connections, settings.connect_timeout);
        let connector = Arc::new(Connector::new(config));
        let pool = Pool::new(Arc::clone(&connector) as _, &DRIVER, most, timeout);
        Self::on(pool, connector, table, notices)
    }

    /// Uses the application's own pool. `sqlx` pings the server when a connection is returned and,
    /// unless `test_before_acquire(false)` is set, when it is taken: up to three round trips
    /// instead of one.
    ///
    /// The application controls the session settings: set `lock_timeout` and `statement_timeout` on
    /// its connections. Before the first statement an additional connection is opened and closed,
    /// to detect a pooler in front of the server.
    pub fn with_pool(pool: PgPool, table: &str) -> Result<Self> {
        let connector = Arc::new(Connector::of_a_pool(&pool));
        let table = table.parse()?;
        Ok(Self::on(Pool::given(pool, Arc::clone(&connector) as _), connector, table, false))
    }

    fn on(pool: Pool<Postgres>, connector: Arc<Connector>, table: TableName, notices: bool) -> Self {
        let client = Client::new(pool, &DRIVER, REMEDY.to_owned());
        let (statements, collector) = (Statements::new(&table, notices), Collector::default());
        Self { client, connector, collector, statements, notices, table, clock: Arc::new(SystemClock) }
    }

    /// Returns the number of connections in use and idle, of statements that wait for one, and of
    /// connections that were opened.
    pub fn pool_status(&self) -> PoolStatus {
        self.client.pool().status()
    }

    /// Closes the connections gracefully, those in use after their statement. From then on every
    /// call fails with [`Unavailable`](session_core::ErrorKind::Unavailable). An application's own
    /// pool stays open.
    pub async fn close(&self) {
        self.client.pool().close().await;
    }

    /// Sets the clock for times that are returned to the caller; the server's clock decides which
    /// sessions have expired.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Creates the table, or brings an existing one up to date and keeps its rows; does nothing if
    /// it is up to date. Safe when many processes run it concurrently. It needs a user that may
    /// create the table or owns it.
    ///
    /// An expiry without a time zone, as in Beego's table, is read as UTC.
    pub async fn migrate(&self) -> Result<()> {
        self.migrate_from("UTC").await
    }

    /// The same for a table with a `timestamp` without a time zone, in the local time of this zone,
    /// for example `Europe/Berlin`.
    pub async fn migrate_from(&self, time_zone: &str) -> Result<()> {
        schema::migrate(&self.client, &self.table, time_zone, || self.connector.is_pooled()).await
    }

    /// Compares the table with the expected one, and reports the first difference; one round trip.
    pub async fn check(&self) -> Result<()> {
        schema::check(&self.client, &self.table, self.connector.is_pooled()).await
    }

    /// Reads the record or tombstone under an id.
    async fn current(&self, operation: &'static str, id: &StorageId) -> Result<Option<Record>> {
        let key = key(id);
        let statement = || {
            let as_text = self.connector.is_pooled();
            let read = if as_text { &self.statements.read_text } else { &self.statements.read };
            read.with(&[Arg::Text(&key)], as_text)
        };
        let rows = self.client.fetch(operation, statement).await?;
        rows.first().map(|row| self.record(operation, row)).transpose()
    }

    async fn refused(&self, operation: &'static str, id: &StorageId) -> Result<WriteOutcome> {
        Ok(WriteOutcome::refused(self.current(operation, id).await?))
    }

    /// Decodes the record of a row that begins with the data and the remaining time.
    pub(crate) fn record(&self, operation: &'static str, row: &PgRow) -> Result<Record> {
        let left: i64 = self.column(operation, row, 1)?;
        let data = self.data(operation, row)?;
        let mut record = Record::decode(data.unwrap_or_default())
            .map_err(|error| error.in_engine(ENGINE).during(operation))?;
        let deadline = self.clock.now().after(Duration::from_micros(u64::try_from(left).unwrap_or(0)));
        record.header.deadline = deadline.min(record.header.absolute);
        Ok(record)
    }

    fn data(&self, operation: &'static str, row: &PgRow) -> Result<Option<Vec<u8>>> {
        let is_text = row.try_get_raw(0).is_ok_and(|data| data.type_info().name() == "TEXT");
        if !is_text || !self.connector.is_pooled() {
            return self.column(operation, row, 0);
        }
        let digits: Option<String> = self.column(operation, row, 0)?;
        Ok(digits.map(|digits| {
            let digits = digits.as_bytes().chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
            digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
        }))
    }

    pub(crate) fn request(&self, statement: &Statement, arguments: &[Arg<'_>]) -> Request {
        statement.with(arguments, self.connector.is_pooled())
    }

    pub(crate) fn column<'r, T>(&self, operation: &'static str, row: &'r PgRow, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(index).map_err(|error| self.client.failed(operation, Effect::Read, error))
    }
}

#[async_trait]
impl Provider for PostgresProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        const { Capabilities::new().owner_index(OwnerIndex::Exact) }
    }

    async fn read(&self, id: &StorageId, _idle: Duration) -> Result<Option<Record>> {
        self.current("read", id).await
    }

    async fn write(
        &self,
        id: &StorageId,
        record: &Record,
        condition: Condition,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let stored = Stored::new(id, record, ttl, &*self.clock)?;
        let statement = || match condition {
            Condition::Absent => self.request(&self.statements.create, &stored.arguments()),
            Condition::Over(stamp) => {
                let [a, b, c, d, e, f, g, h] = stored.arguments();
                let over = Arg::Number(version(stamp));
                self.notifying_request(
                    &self.statements.replace,
                    &[a, b, c, d, e, f, g, h, over, notices::payload(id, &stored.key)],
                )
            }
        };
        match self.client.execute("write", statement).await? {
            Executed::Rows(1..) => Ok(WriteOutcome::stored()),
            Executed::Rows(0) | Executed::Duplicate => self.refused("write", id).await,
        }
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let key = key(id);
        let step = interval(step(ttl));
        let arguments = [Arg::Text(&key), Arg::Time(interval(ttl)), Arg::Time(step)];
        let statement = || self.request(&self.statements.touch, &arguments);
        Ok(self.client.execute("touch", statement).await? != Executed::Rows(0))
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let tombstone = Stored::new(old, tombstone, TOMBSTONE_TTL, &*self.clock)?;
        let moved = Stored::new(new, record, *ttl, &*self.clock)?;
        let statement = || {
            let (old, new) = (tombstone.arguments(), moved.arguments());
            let notice = notices::payload(rename.old, &tombstone.key);
            let arguments = [&old[..], &[Arg::Number(version(*over))], &new, &[notice]].concat();
            self.notifying_request(&self.statements.rename, &arguments)
        };
        if matches!(self.client.execute("rename", statement).await?, Executed::Rows(1..)) {
            return Ok(WriteOutcome::stored());
        }
        match self.current("rename", new).await? {
            // An earlier call with these arguments was applied, and only its answer was lost.
            Some(there) if there.header.has_version(record.header.version()) => Ok(WriteOutcome::stored()),
            // Another session's record under an id of 256 random bits: leave it alone.
            Some(_) => Ok(WriteOutcome::refused(None)),
            None => self.refused("rename", old).await,
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let key = key(id);
        let notice = notices::payload(id, &key);
        // Repeats if a record was stored after the removal had found none.
        for _ in 0..3 {
            let statement = || match expected {
                None => self.notifying_request(&self.statements.destroy, &[Arg::Text(&key), notice]),
                Some(stamp) => {
                    let arguments = [Arg::Text(&key), Arg::Number(version(stamp)), notice];
                    self.notifying_request(&self.statements.destroy_version, &arguments)
                }
            };
            if self.client.execute("destroy", statement).await? != Executed::Rows(0) {
                return Ok(DestroyOutcome::Destroyed);
            }
            let Some(current) = self.current("destroy", id).await? else { return Ok(DestroyOutcome::Absent) };
            if let State::Moved(to) = current.header.state {
                return Ok(DestroyOutcome::Moved(to));
            }
            if expected.is_some_and(|expected| expected.version != current.header.version()) {
                return Ok(DestroyOutcome::Refused(Box::new(current)));
            }
        }
        let message = "this session is ended and recreated by other requests";
        Err(Error::new(ErrorKind::Conflict, message).in_engine(ENGINE).during("destroy"))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let key = key(id);
        let rows =
            self.client.fetch("exists", || self.request(&self.statements.exists, &[Arg::Text(&key)])).await?;
        Ok(!rows.is_empty())
    }

    async fn count(&self) -> Result<Option<u64>> {
        let rows = self.client.fetch("count", || self.request(&self.statements.count, &[])).await?;
        let count = rows.first().map(|row| self.column::<i64>("count", row, 0)).transpose()?;
        Ok(count.map(i64::cast_unsigned))
    }

    async fn due(&self) -> Result<Option<u64>> {
        let rows = self.client.fetch("due", || self.request(&self.statements.due, &[])).await?;
        let count = rows.first().map(|row| self.column::<i64>("due", row, 0)).transpose()?;
        Ok(count.map(i64::cast_unsigned))
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let find = |from: Option<i64>, limit: usize| async move {
            let limit = Arg::Number(i64::try_from(limit).unwrap_or(i64::MAX));
            let statement = || match from {
                // Rows of a version without the column have `-infinity` in it, and the mark zero.
                None | Some(0) => self.request(&self.statements.ended, &[limit]),
                Some(microseconds) => {
                    let from = PgInterval { months: 0, days: 0, microseconds };
                    self.request(&self.statements.ended_from, &[limit, Arg::Time(from)])
                }
            };
            let rows = self.client.fetch("gc", statement).await?;
            let row = |row: &PgRow| Ok((self.column("gc", row, 0)?, self.column("gc", row, 1)?));
            rows.iter().map(row).collect::<Result<Vec<(String, i64)>>>()
        };
        let remove = |keys: Vec<String>| async move {
            let statement = || self.request(&self.statements.collect, &[Arg::Texts(&keys)]);
            match self.client.execute("gc", statement).await? {
                Executed::Rows(rows) => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
                Executed::Duplicate => Ok(0),
            }
        };
        self.collector.collect(limit, find, remove).await
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }

    fn as_notify(&self) -> Option<&dyn Notify> {
        self.notices.then_some(self)
    }
}

fn version(stamp: Stamp) -> i64 {
    stamp.version.0.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The future is copied at every level before it is polled, so it must be small.
    #[test]
    fn the_future_of_a_statement_is_small() {
        let config = "postgres://session@localhost/session".parse().unwrap();
        let provider = PostgresProvider::connect_lazy(config);
        let id = StorageId::from_hash([0; 32]);
        let bytes = size_of_val(&provider.current("read", &id));
        assert!(bytes <= 1_032, "{bytes} bytes");
    }
}
