//! The provider: the statement of each operation, and the meaning of its result.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::clock::{Clock, SystemClock, Timestamp};
use session_core::engine::{
    Condition, DestroyOutcome, Durability, Indexed, OwnerIndex, Rename, Scan, TOMBSTONE_TTL, TimeSource,
    WriteOutcome,
};
use session_core::id::StorageId;
use session_core::record::{Record, Stamp, State};
use session_core::{Capabilities, Error, ErrorKind, Provider, Result};
use session_sql::{TableName, key, step};
use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::collect::{BATCH, PAUSE, shrink};
use crate::config::{Place, SqliteConfig, Synchronous};
use crate::connections::{Connections, Work};
use crate::failure::{Effect, failed};
use crate::statements::Statements;
use crate::stored::{Bound, Stored, millis};
use crate::writes::{Changed, Writes};
use crate::{ENGINE, open, schema};

/// Sessions in a table of SQLite.
///
/// The compare token of its records ([`Stamp::cas`]) is the column `collect_after` as read. It only
/// selects the statement that is likely to match; the version is compared.
#[derive(Debug)]
pub struct SqliteProvider {
    pub(crate) connections: Arc<Connections>,
    writes: Writes,
    pub(crate) statements: Statements,
    table: TableName,
    durability: Durability,
    clock: Arc<dyn Clock>,
}

impl SqliteProvider {
    /// Creates the file and the table if they are missing, and checks that they can be used.
    ///
    /// [`Config`](ErrorKind::Config) if the file cannot be created or written to, is not a database
    /// or is world-writable; the message says what to change.
    pub async fn connect(config: SqliteConfig) -> Result<Self> {
        let durability = match (&config.place, config.synchronous) {
            (Place::Memory, _) => Durability::Process,
            (Place::File { .. }, Synchronous::Normal) => Durability::Crash,
            (Place::File { .. }, Synchronous::Full) => Durability::Disk,
        };
        Ok(Self::on(open::open(&config).await?, config.table, durability))
    }

    /// Uses the application's own pool with its settings; [`migrate`](Self::migrate) creates the
    /// table.
    ///
    /// The pool should be in WAL mode, wait for locks no longer than half of the manager's
    /// operation timeout (`SqliteConnectOptions::busy_timeout`), and not ping before every use
    /// (`SqlitePoolOptions::test_before_acquire(false)`). A pool for a database in memory must have
    /// one connection that is never closed. Collecting does not change the size of the file.
    pub fn with_pool(pool: SqlitePool, table: &str) -> Result<Self> {
        let table = SqliteConfig::memory().table(table).map_err(|error| error.in_engine(ENGINE))?.table;
        Ok(Self::on(Connections::Given(pool), table, Durability::Server))
    }

    fn on(connections: Connections, table: TableName, durability: Durability) -> Self {
        let statements = Statements::new(&table);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let connections = Arc::new(connections);
        let writes = Writes::new(Arc::clone(&connections), Arc::clone(&clock));
        Self { connections, writes, statements, table, durability, clock }
    }

    /// Uses another clock than the system's. All processes that share the file must use the same.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.writes.clock = Arc::clone(&clock);
        self.clock = clock;
        self
    }

    /// Creates the table if it is missing. Many processes may call it at once.
    pub async fn migrate(&self) -> Result<()> {
        // Connections for writing return early from a lock.
        let mut taken = self.connections.take("migrate", Work::Read).await?;
        let connection = taken.connection().map_err(|error| failed("migrate", Effect::Read, error))?;
        schema::migrate(connection, &self.table).await
    }

    /// Compares the table with the expected one and reports differences.
    pub async fn check(&self) -> Result<()> {
        let mut taken = self.connections.take("check", Work::Read).await?;
        let connection = taken.connection().map_err(|error| failed("check", Effect::Read, error))?;
        schema::check(connection, &self.table).await
    }

    /// The record currently stored under an id, tombstones included.
    async fn current(&self, operation: &'static str, id: &StorageId) -> Result<Option<Record>> {
        let query = self.statements.read.query().bind(key(id));
        let row = self.row(operation, Work::Lookup, query).await?;
        row.map_or(Ok(None), |row| self.record(operation, &row))
    }

    async fn refused(&self, operation: &'static str, id: &StorageId) -> Result<WriteOutcome> {
        Ok(WriteOutcome::refused(self.current(operation, id).await?))
    }

    /// The record of a row, unless expired.
    pub(crate) fn record(&self, operation: &'static str, row: &SqliteRow) -> Result<Option<Record>> {
        let broken = |error| failed(operation, Effect::Read, error);
        let deadline: i64 = row.try_get(1).map_err(broken)?;
        let deadline = Timestamp::from_millis(u64::try_from(deadline).unwrap_or(0));
        if deadline <= self.clock.now() {
            return Ok(None);
        }
        let data: &[u8] = row.try_get(0).map_err(broken)?;
        let mut record = Record::decode(data).map_err(|error| error.in_engine(ENGINE).during(operation))?;
        record.header.deadline = deadline.min(record.header.absolute);
        record.cas = row.try_get::<i64, _>(2).map_err(broken)?.cast_unsigned();
        Ok(Some(record))
    }

    /// The first row that a statement returns.
    async fn row(&self, operation: &'static str, work: Work, query: Bound) -> Result<Option<SqliteRow>> {
        let mut taken = self.connections.take(operation, work).await?;
        let row = match taken.connection() {
            Ok(connection) => query.fetch_optional(connection).await,
            Err(error) => Err(error),
        };
        row.map_err(|error| {
            taken.failed(&error);
            failed(operation, Effect::Read, error)
        })
    }

    /// The number of rows that a statement changes. Its last argument, the current time, is added
    /// when it runs.
    pub(crate) async fn change(&self, operation: &'static str, query: Bound) -> Result<Changed> {
        self.writes.change(operation, query).await
    }

    /// Replaces the version that was read.
    async fn replace(
        &self,
        id: &StorageId,
        record: &Record,
        over: Stamp,
        ttl: Duration,
    ) -> Result<WriteOutcome> {
        let now = self.clock.now();
        let mut stored = Stored::new(id, record, ttl, now)?;
        let expiry = stored.expiry;
        let earliest = expiry - earlier(ttl);
        if (earliest..=expiry).contains(&over.cas.cast_signed()) {
            let query = stored.bind(&self.statements.replace_data).bind(version(over)).bind(earliest);
            if self.change("write", query).await? != Changed::Nothing {
                return Ok(WriteOutcome::stored_with_cas(over.cas));
            }
            let current = self.current("write", id).await?;
            if current.as_ref().is_none_or(|current| current.header.version() != over.version) {
                return Ok(WriteOutcome::refused(current));
            }
            // An indexed column differs: the owner, at a sign-in.
            stored = Stored::new(id, record, ttl, now)?;
        }
        let query = stored.bind(&self.statements.replace).bind(version(over));
        match self.change("write", query).await? {
            Changed::Rows(_) => Ok(WriteOutcome::stored_with_cas(expiry.cast_unsigned())),
            Changed::Nothing => self.refused("write", id).await,
        }
    }

    /// The time as a bound value.
    pub(crate) fn now(&self) -> i64 {
        millis(self.clock.now())
    }
}

#[async_trait]
impl Provider for SqliteProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    /// The clock is the provider's: all processes that share the file run on one machine and share
    /// its clock, and tests can replace it.
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::new().time_source(TimeSource::Core);
        capabilities.durability(self.durability).owner_index(OwnerIndex::Exact)
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
        if let Condition::Over(stamp) = condition {
            return self.replace(id, record, stamp, ttl).await;
        }
        let now = self.clock.now();
        let stored = Stored::new(id, record, ttl, now)?;
        let expiry = stored.expiry;
        match self.change("write", stored.bind(&self.statements.create)).await? {
            Changed::Rows(_) => Ok(WriteOutcome::stored_with_cas(expiry.cast_unsigned())),
            Changed::Nothing => self.refused("write", id).await,
        }
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let until = self.clock.now().after(ttl);
        let query = self.statements.touch.query().bind(key(id)).bind(millis(until));
        let changed = self.change("touch", query).await?;
        Ok(changed != Changed::Nothing)
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let now = self.clock.now();
        let tombstone = Stored::new(old, tombstone, TOMBSTONE_TTL, now)?;
        let moved = Stored::new(new, record, *ttl, now)?;
        let query = moved.bind_to(tombstone.bind(&self.statements.rename));
        if self.change("rename", query.bind(version(*over))).await? != Changed::Nothing {
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
        // Repeated if the record was stored after the removal had found nothing.
        for _ in 0..3 {
            let query = match expected {
                None => self.statements.destroy.query().bind(key(id)),
                Some(stamp) => {
                    let query = self.statements.destroy_version.query();
                    query.bind(key(id)).bind(version(stamp))
                }
            };
            if self.change("destroy", query).await? != Changed::Nothing {
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
        let message = "too many concurrent changes to this session; retry the request";
        Err(Error::new(ErrorKind::Conflict, message).in_engine(ENGINE).during("destroy"))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let query = self.statements.exists.query().bind(key(id)).bind(self.now());
        Ok(self.row("exists", Work::Lookup, query).await?.is_some())
    }

    /// Exact.
    async fn count(&self) -> Result<Option<u64>> {
        let row = self.row("count", Work::Read, self.statements.count.query().bind(self.now())).await?;
        let count = row.map(|row| row.try_get::<i64, _>(0)).transpose();
        Ok(count.map_err(|error| failed("count", Effect::Read, error))?.map(i64::cast_unsigned))
    }

    async fn due(&self) -> Result<Option<u64>> {
        let row = self.row("due", Work::Read, self.statements.due.query().bind(self.now())).await?;
        let count = row.map(|row| row.try_get::<i64, _>(0)).transpose();
        Ok(count.map_err(|error| failed("due", Effect::Read, error))?.map(i64::cast_unsigned))
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        let mut removed = 0;
        while removed < limit {
            if removed > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let batch = BATCH.min(limit - removed);
            let query = self.statements.collect.query().bind(i64::try_from(batch).unwrap_or(0));
            let rows = match self.change("gc", query).await? {
                Changed::Rows(rows) => usize::try_from(rows).unwrap_or(batch),
                Changed::Nothing => 0,
            };
            removed += rows;
            if rows < batch {
                break;
            }
        }
        if matches!(*self.connections, Connections::Own(_)) {
            shrink(&self.connections).await?;
        }
        Ok(removed)
    }

    fn as_indexed(&self) -> Option<&dyn Indexed> {
        Some(self)
    }

    fn as_scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

fn version(stamp: Stamp) -> i64 {
    stamp.version.0.cast_signed()
}

/// How much earlier than its end the row of a session with the idle timeout `ttl` may be marked for
/// collection: the mark is updated once in that time.
fn earlier(ttl: Duration) -> i64 {
    i64::try_from(step(ttl).as_millis()).unwrap_or(0)
}
