//! The provider: what each operation sends, and what the answer means.

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
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqlitePool, SqliteRow};

use crate::collect::{BATCH, PAUSE, shrink};
use crate::config::{Place, SqliteConfig, Synchronous};
use crate::connections::Connections;
use crate::failure::{Effect, failed, is_duplicate};
use crate::statements::{Statement, Statements};
use crate::{ENGINE, open, schema};

/// Sessions in a table of SQLite.
///
/// The compare token of its records ([`Stamp::cas`]) is the column `collect_after`, as it was read.
/// It only tells which statement is likely to match; what is compared is the version.
#[derive(Debug)]
pub struct SqliteProvider {
    pub(crate) connections: Connections,
    pub(crate) statements: Statements,
    table: TableName,
    durability: Durability,
    clock: Arc<dyn Clock>,
}

impl SqliteProvider {
    /// Creates the file and the table if they are missing, and makes sure that they can be used.
    ///
    /// [`Config`](ErrorKind::Config) when the file cannot be created or written to, is no database
    /// or can be written to by every user of the machine; the message says what to change.
    pub async fn connect(config: SqliteConfig) -> Result<Self> {
        let durability = match (&config.place, config.synchronous) {
            (Place::Memory, _) => Durability::Process,
            (Place::File { .. }, Synchronous::Normal) => Durability::Crash,
            (Place::File { .. }, Synchronous::Full) => Durability::Disk,
        };
        Ok(Self::on(open::open(&config).await?, config.table, durability))
    }

    /// Uses the application's own pool, with the settings that it has; [`migrate`](Self::migrate)
    /// makes the table.
    ///
    /// The pool should be in WAL mode, wait for locks no longer than half of the manager's deadline
    /// (`SqliteConnectOptions::busy_timeout`), and leave out the ping before every use
    /// (`SqlitePoolOptions::test_before_acquire(false)`). A pool of databases in memory must have
    /// one connection, that is never closed. Collecting leaves the size of the file alone.
    pub fn with_pool(pool: SqlitePool, table: &str) -> Result<Self> {
        let table = SqliteConfig::memory().table(table).map_err(|error| error.in_engine(ENGINE))?.table;
        Ok(Self::on(Connections::Given(pool), table, Durability::Server))
    }

    fn on(connections: Connections, table: TableName, durability: Durability) -> Self {
        let (statements, clock) = (Statements::new(&table), Arc::new(SystemClock));
        Self { connections, statements, table, durability, clock }
    }

    /// Takes the time from another clock than the system's. All processes that share the file must
    /// agree about it.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the table where it is missing; does nothing when it is there. Safe when many processes
    /// do it at once.
    pub async fn migrate(&self) -> Result<()> {
        let mut taken = self.connections.take("migrate", Effect::Write).await?;
        let connection = taken.connection().map_err(|error| failed("migrate", Effect::Read, error))?;
        schema::migrate(connection, &self.table).await
    }

    /// Compares the table with what is expected, and says what is different.
    pub async fn check(&self) -> Result<()> {
        let mut taken = self.connections.take("check", Effect::Read).await?;
        let connection = taken.connection().map_err(|error| failed("check", Effect::Read, error))?;
        schema::check(connection, &self.table).await
    }

    /// What is stored under an id now, tombstones included.
    async fn current(&self, operation: &'static str, id: &StorageId) -> Result<Option<Record>> {
        let row = self.row(operation, self.statements.read.query().bind(key(id))).await?;
        row.map_or(Ok(None), |row| self.record(operation, &row))
    }

    async fn refused(&self, operation: &'static str, id: &StorageId) -> Result<WriteOutcome> {
        Ok(WriteOutcome::refused(self.current(operation, id).await?))
    }

    /// The record of a row, unless its time is over.
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

    /// The first row of what a statement finds.
    async fn row(&self, operation: &'static str, query: Bound) -> Result<Option<SqliteRow>> {
        let mut taken = self.connections.take(operation, Effect::Read).await?;
        let row = match taken.connection() {
            Ok(connection) => query.fetch_optional(connection).await,
            Err(error) => Err(error),
        };
        row.map_err(|error| {
            taken.failed(&error);
            failed(operation, Effect::Read, error)
        })
    }

    /// How many rows a statement changes.
    pub(crate) async fn change(&self, operation: &'static str, query: Bound) -> Result<Changed> {
        let mut taken = self.connections.take(operation, Effect::Write).await?;
        let changed = match taken.connection() {
            Ok(connection) => query.execute(connection).await,
            Err(error) => Err(error),
        };
        match changed {
            Ok(done) if done.rows_affected() > 0 => Ok(Changed::Rows(done.rows_affected())),
            Ok(_) => Ok(Changed::Nothing),
            Err(error) if is_duplicate(&error) => Ok(Changed::Nothing),
            Err(error) => {
                taken.failed(&error);
                Err(failed(operation, Effect::Write, error))
            }
        }
    }

    /// Writes over the version that was read.
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
            let query = stored.bind(&self.statements.replace_data).bind(version(over)).bind(millis(now));
            if self.change("write", query.bind(earliest)).await? != Changed::Nothing {
                return Ok(WriteOutcome::stored_with_cas(over.cas));
            }
            let current = self.current("write", id).await?;
            if current.as_ref().is_none_or(|current| current.header.version() != over.version) {
                return Ok(WriteOutcome::refused(current));
            }
            // It is what the indexes hold that is different: the owner, at a sign-in.
            stored = Stored::new(id, record, ttl, now)?;
        }
        let query = stored.bind(&self.statements.replace).bind(version(over)).bind(millis(now));
        match self.change("write", query).await? {
            Changed::Rows(_) => Ok(WriteOutcome::stored_with_cas(expiry.cast_unsigned())),
            Changed::Nothing => self.refused("write", id).await,
        }
    }

    /// The time, as it is bound.
    pub(crate) fn now(&self) -> i64 {
        millis(self.clock.now())
    }
}

pub(crate) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// What a statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// So many rows, one at least.
    Rows(u64),
    /// Nothing matched, or the key was there already.
    Nothing,
}

/// A record with everything that is stored of it: seven arguments, in the order of the statements.
struct Stored {
    key: String,
    data: Vec<u8>,
    expiry: i64,
    absolute: i64,
    version: i64,
    owner: Option<Vec<u8>>,
    moved: bool,
}

impl Stored {
    fn new(id: &StorageId, record: &Record, ttl: Duration, now: Timestamp) -> Result<Self> {
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

    fn bind(self, statement: &Statement) -> Bound {
        self.bind_to(statement.query())
    }

    fn bind_to(self, query: Bound) -> Bound {
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

#[async_trait]
impl Provider for SqliteProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    /// The clock is the provider's: all who share the file are on one machine and have its clock
    /// anyway, and tests can turn this one.
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
        match self.change("write", stored.bind(&self.statements.create).bind(millis(now))).await? {
            Changed::Rows(_) => Ok(WriteOutcome::stored_with_cas(expiry.cast_unsigned())),
            Changed::Nothing => self.refused("write", id).await,
        }
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let now = self.clock.now();
        let query = self.statements.touch.query().bind(key(id)).bind(millis(now.after(ttl)));
        let changed = self.change("touch", query.bind(millis(now))).await?;
        Ok(changed != Changed::Nothing)
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let now = self.clock.now();
        let tombstone = Stored::new(old, tombstone, TOMBSTONE_TTL, now)?;
        let moved = Stored::new(new, record, *ttl, now)?;
        let query = moved.bind_to(tombstone.bind(&self.statements.rename));
        let query = query.bind(version(*over)).bind(millis(now));
        if self.change("rename", query).await? != Changed::Nothing {
            return Ok(WriteOutcome::stored());
        }
        match self.current("rename", new).await? {
            // An earlier call with these arguments did it, and only its answer was lost.
            Some(there) if there.header.has_version(record.header.version()) => Ok(WriteOutcome::stored()),
            // Somebody else's record under an id of 256 random bits: leave it alone, and draw
            // another id.
            Some(_) => Ok(WriteOutcome::refused(None)),
            None => self.refused("rename", old).await,
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        // Again when what is there was stored after the removal had found nothing.
        for _ in 0..3 {
            let query = match expected {
                None => self.statements.destroy.query().bind(key(id)).bind(self.now()),
                Some(stamp) => {
                    let query = self.statements.destroy_version.query();
                    query.bind(key(id)).bind(self.now()).bind(version(stamp))
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
        let message = "other requests end and begin this session at the same time; retry the request";
        Err(Error::new(ErrorKind::Conflict, message).in_engine(ENGINE).during("destroy"))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let query = self.statements.exists.query().bind(key(id)).bind(self.now());
        Ok(self.row("exists", query).await?.is_some())
    }

    /// Exact.
    async fn count(&self) -> Result<Option<u64>> {
        let row = self.row("count", self.statements.count.query().bind(self.now())).await?;
        let count = row.map(|row| row.try_get::<i64, _>(0)).transpose();
        Ok(count.map_err(|error| failed("count", Effect::Read, error))?.map(i64::cast_unsigned))
    }

    async fn due(&self) -> Result<Option<u64>> {
        let row = self.row("due", self.statements.due.query().bind(self.now())).await?;
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
            let query = self.statements.collect.query().bind(self.now());
            let rows = match self.change("gc", query.bind(i64::try_from(batch).unwrap_or(0))).await? {
                Changed::Rows(rows) => usize::try_from(rows).unwrap_or(batch),
                Changed::Nothing => 0,
            };
            removed += rows;
            if rows < batch {
                break;
            }
        }
        if matches!(&self.connections, Connections::Own(_)) {
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

/// No time that is stored is later, so that nothing overflows.
const LATEST: i64 = i64::MAX / 2;

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(LATEST).min(LATEST)
}

/// How much earlier than its end the row of a session may be marked for collection that lives for
/// `ttl` without being used: the mark is moved once in that time.
fn earlier(ttl: Duration) -> i64 {
    i64::try_from(step(ttl).as_millis()).unwrap_or(0)
}
