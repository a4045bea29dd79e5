//! The provider: the statement of each operation, and the meaning of its response.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, SystemClock};
use session_core::engine::{
    Condition, DestroyOutcome, Indexed, OwnerIndex, Rename, Scan, TOMBSTONE_TTL, WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};
use session_sql::{Client, Collector, Effect, Executed, MOST, Migrate, Pool, PoolStatus, TableName, key};
use sqlx::Row;
use sqlx::mysql::{MySql, MySqlPool, MySqlRow};
use sqlx::query::Query;
use tokio::sync::OnceCell;

use crate::MySqlConfig;
use crate::connect::Connector;
use crate::failure::{DRIVER, ENGINE};
use crate::schema::{self, REMEDY};
use crate::statements::{FEW, Statements};
use crate::stored::{Stored, below, milliseconds};

/// Records up to this size are sent without asking for the server's limit, which is never lower.
const SURELY_FITS: usize = 16 * 1024;

/// The maximum overhead of a statement beside the record.
const OVERHEAD: usize = 1024;

/// Sessions in a table of MySQL or MariaDB.
#[derive(Debug)]
pub struct MySqlProvider {
    pub(crate) client: Client<MySql>,
    collector: Collector,
    pub(crate) statements: Statements,
    table: TableName,
    clock: Arc<dyn Clock>,
    /// The largest record that fits into the server's `max_allowed_packet`.
    limit: OnceCell<usize>,
}

impl MySqlProvider {
    /// Connects, so that a wrong address or password is reported at once; with `migrate` set, also
    /// creates the table.
    ///
    /// [`Config`](session_core::ErrorKind::Config) if the server refuses user, password, database
    /// or TLS, [`Unavailable`](session_core::ErrorKind::Unavailable) if it cannot be reached within
    /// `connect_timeout`.
    pub async fn connect(config: MySqlConfig) -> Result<Self> {
        let migrate = config.settings.migrate;
        let provider = Self::connect_lazy(config);
        provider.limit("connect").await?;
        match migrate {
            Migrate::No => {}
            Migrate::Check => provider.check().await?,
            Migrate::Yes => provider.migrate().await?,
        }
        Ok(provider)
    }

    /// Connects at the first operation, so that the service can start while the server is down.
    pub fn connect_lazy(config: MySqlConfig) -> Self {
        let (table, settings) = (config.settings.table.clone(), &config.settings);
        let (most, timeout) = (settings.max_connections, settings.connect_timeout);
        Self::on(Pool::new(Arc::new(Connector::new(config)), &DRIVER, most, timeout), table)
    }

    /// Uses the application's own pool. `sqlx` pings the server when a connection comes back and,
    /// unless `test_before_acquire(false)` is set, when it is taken: up to three round trips
    /// instead of one.
    ///
    /// The application owns the session settings: set `innodb_lock_wait_timeout` on its
    /// connections. Before the first statement the engine checks `autocommit` on one of them; if it
    /// is off, every operation fails with an error that says so.
    pub fn with_pool(pool: MySqlPool, table: &str) -> Result<Self> {
        let connector = Arc::new(Connector::of_a_pool(&pool));
        Ok(Self::on(Pool::given(pool, connector), table.parse()?))
    }

    fn on(pool: Pool<MySql>, table: TableName) -> Self {
        let client = Client::new(pool, &DRIVER, REMEDY.to_owned());
        let (statements, collector) = (Statements::new(&table), Collector::default());
        Self { client, collector, statements, table, clock: Arc::new(SystemClock), limit: OnceCell::new() }
    }

    /// The numbers of connections in use, idle and opened, and of waiting statements.
    pub fn pool_status(&self) -> PoolStatus {
        self.client.pool().status()
    }

    /// Closes the connections cleanly, those in use when their statement has ended: the server
    /// counts no `Aborted_clients`. Operations fail with
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) from then on. An application's own
    /// pool stays open.
    pub async fn close(&self) {
        self.client.pool().close().await;
    }

    /// The clock of the times reported to the caller; expiry follows the server's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Creates the table, or updates it in place; does nothing if it is up to date. Many processes
    /// may call it at once. Needs a user that may create and alter the table.
    pub async fn migrate(&self) -> Result<()> {
        schema::migrate(&self.client, &self.table).await
    }

    /// Compares the table with the expected one and reports differences; one round trip.
    pub async fn check(&self) -> Result<()> {
        schema::check(&self.client, &self.table).await
    }

    async fn limit(&self, operation: &'static str) -> Result<usize> {
        let ask = || async {
            let question = || sqlx::query("SELECT CAST(@@max_allowed_packet AS SIGNED)");
            let rows = self.client.fetch(operation, question).await?;
            let bytes = rows.first().map(|row| self.column::<i64>(operation, row, 0)).transpose()?;
            let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
            Ok(bytes.saturating_sub(OVERHEAD))
        };
        self.limit.get_or_try_init(ask).await.copied()
    }

    /// Refuses a record that would make the server close the connection.
    async fn fits(&self, operation: &'static str, stored: &Stored) -> Result<()> {
        let size = stored.data.len();
        if size <= SURELY_FITS {
            return Ok(());
        }
        let limit = self.limit(operation).await?;
        if size > limit {
            let message =
                format!("{size} bytes, and the server's max_allowed_packet leaves room for {limit}");
            return Err(Error::new(ErrorKind::TooLarge, message).in_engine(ENGINE).during(operation));
        }
        Ok(())
    }

    /// The record currently stored under an id, tombstones included.
    async fn current(&self, operation: &'static str, id: &StorageId) -> Result<Option<Record>> {
        let key = key(id);
        let statement = || self.statements.read.query().bind(&key);
        let rows = self.client.fetch(operation, statement).await?;
        rows.first().map_or(Ok(None), |row| self.record(operation, row))
    }

    async fn refused(&self, operation: &'static str, id: &StorageId) -> Result<WriteOutcome> {
        Ok(WriteOutcome::refused(self.current(operation, id).await?))
    }

    /// Stores a record if there is none. An expired row counts as absent.
    async fn create(&self, id: &StorageId, stored: &Stored) -> Result<WriteOutcome> {
        // Repeated if the conflicting session ended before it could be read.
        for _ in 0..3 {
            let insert = || stored.bind(&self.statements.create).bind(&stored.key);
            if self.client.execute("write", insert).await? != Executed::Duplicate {
                return Ok(WriteOutcome::stored());
            }
            let revive = || stored.bind(&self.statements.revive).bind(&stored.key);
            if self.client.execute("write", revive).await? != Executed::Rows(0) {
                return Ok(WriteOutcome::stored());
            }
            if let Some(current) = self.current("write", id).await? {
                return Ok(WriteOutcome::refused(Some(current)));
            }
        }
        Err(contended("write"))
    }

    /// The record of a row that begins with the data and the remaining time; `None` if that has run
    /// out.
    pub(crate) fn record(&self, operation: &'static str, row: &MySqlRow) -> Result<Option<Record>> {
        let left: i64 = self.column(operation, row, 1)?;
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { return Ok(None) };
        let data: Option<Vec<u8>> = self.column(operation, row, 0)?;
        let decoded = Record::decode(data.unwrap_or_default());
        let mut record = decoded.map_err(|error| error.in_engine(ENGINE).during(operation))?;
        let deadline = self.clock.now().after(Duration::from_millis(left));
        record.header.deadline = deadline.min(record.header.absolute);
        Ok(Some(record))
    }

    pub(crate) fn column<'r, T>(&self, operation: &'static str, row: &'r MySqlRow, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, MySql> + sqlx::Type<MySql>,
    {
        row.try_get(index).map_err(|error| self.client.failed(operation, Effect::Read, error))
    }
}

#[async_trait]
impl Provider for MySqlProvider {
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
        self.fits("write", &stored).await?;
        let Condition::Over(stamp) = condition else { return self.create(id, &stored).await };
        let statement = || stored.bind(&self.statements.replace).bind(&stored.key).bind(stamp.version.0);
        match self.client.execute("write", statement).await? {
            Executed::Rows(1..) => Ok(WriteOutcome::stored()),
            Executed::Rows(0) | Executed::Duplicate => self.refused("write", id).await,
        }
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let key = key(id);
        let idle = milliseconds(ttl);
        let statement = || self.statements.touch.query().bind(idle).bind(idle).bind(below(ttl)).bind(&key);
        Ok(self.client.execute("touch", statement).await? != Executed::Rows(0))
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let tombstone = Stored::new(old, tombstone, TOMBSTONE_TTL, &*self.clock)?;
        let moved = Stored::new(new, record, *ttl, &*self.clock)?;
        self.fits("rename", &moved).await?;
        let statement = || {
            moved
                .bind_with(&tombstone, &self.statements.rename)
                .bind(&tombstone.key)
                .bind(over.version.0)
                .bind(&tombstone.key)
        };
        if matches!(self.client.execute("rename", statement).await?, Executed::Rows(1..)) {
            return Ok(WriteOutcome::stored());
        }
        match self.current("rename", new).await? {
            // An earlier call with these arguments succeeded, but its response was lost.
            Some(there) if there.header.has_version(record.header.version()) => Ok(WriteOutcome::stored()),
            // Another record under an id of 256 random bits: keep it, and generate another id.
            Some(_) => Ok(WriteOutcome::refused(None)),
            None => self.refused("rename", old).await,
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let key = key(id);
        // Repeated if the record was stored after the removal had found nothing.
        for _ in 0..3 {
            let statement = || match expected {
                None => self.statements.destroy.query().bind(&key),
                Some(stamp) => self.statements.destroy_version.query().bind(&key).bind(stamp.version.0),
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
        Err(contended("destroy"))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let key = key(id);
        let statement = || self.statements.exists.query().bind(&key);
        Ok(!self.client.fetch("exists", statement).await?.is_empty())
    }

    async fn count(&self) -> Result<Option<u64>> {
        let rows = self.client.fetch("count", || self.statements.count.query()).await?;
        let count = rows.first().map(|row| self.column::<i64>("count", row, 0)).transpose()?;
        Ok(count.map(i64::cast_unsigned))
    }

    async fn due(&self) -> Result<Option<u64>> {
        let rows = self.client.fetch("due", || self.statements.due.query()).await?;
        let count = rows.first().map(|row| self.column::<i64>("due", row, 0)).transpose()?;
        Ok(count.map(i64::cast_unsigned))
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let find = |from: Option<i64>, limit: usize| async move {
            let statement = || self.statements.ended.query().bind(from.unwrap_or(0)).bind(limit as u64);
            let rows = self.client.fetch("gc", statement).await?;
            let row = |row: &MySqlRow| Ok((self.column("gc", row, 0)?, self.column("gc", row, 1)?));
            rows.iter().map(row).collect::<Result<Vec<(String, i64)>>>()
        };
        let remove = |keys: Vec<String>| async move {
            let [few, many] = &self.statements.collect;
            let (statement, places) = if keys.len() <= FEW { (few, FEW) } else { (many, MOST) };
            let statement = || {
                let places = keys.iter().chain(std::iter::repeat(&keys[0])).take(places);
                places.fold(statement.query(), Query::bind)
            };
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
}

fn contended(operation: &'static str) -> Error {
    let message = "too many concurrent changes to this session; retry the request";
    Error::new(ErrorKind::Conflict, message).in_engine(ENGINE).during(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The future is copied at every level of calls before it is polled.
    #[test]
    fn futures_of_statements_are_small() {
        let config = "mysql://session@localhost/session".parse().unwrap();
        let provider = MySqlProvider::connect_lazy(config);
        let id = StorageId::from_hash([0; 32]);
        let bytes = size_of_val(&provider.current("read", &id));
        assert!(bytes <= 1_032, "{bytes} bytes");
    }
}
