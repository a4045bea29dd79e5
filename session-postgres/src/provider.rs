//! The provider: what each operation sends, and what the answer means.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Condition, DestroyOutcome, Error, ErrorKind, Provider, Record, Rename, Result,
    Stamp, State, StorageId, SystemClock, TOMBSTONE_TTL, WriteOutcome,
};
use session_sql::{Client, Effect, Executed, Pool, TableName, collect, key, step};
use sqlx::Row;
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgArguments, PgPool, PgRow, Postgres};
use sqlx::query::Query;

use crate::PostgresConfig;
use crate::failure::{DRIVER, ENGINE};
use crate::schema::{self, REMEDY};
use crate::statements::{Statement, Statements};

/// Sessions in a table of PostgreSQL.
#[derive(Debug)]
pub struct PostgresProvider {
    client: Client<Postgres>,
    statements: Statements,
    table: TableName,
    clock: Arc<dyn Clock>,
}

impl PostgresProvider {
    /// Connects, so that a wrong address or password is known at once; with `migrate` set, also makes the table.
    ///
    /// [`Config`](session_core::ErrorKind::Config) when the server refuses user, password, database or TLS,
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) when it cannot be reached within `connect_timeout`.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        let migrate = config.settings.migrate;
        let provider = Self::connect_lazy(config);
        let lease = provider.client.pool().lease().await;
        lease.map_err(|error| provider.client.not_connected("connect", error))?.keep();
        if migrate {
            provider.migrate().await?;
        }
        Ok(provider)
    }

    /// Connects when the first session is asked for, so that the service starts also while the server is down.
    pub fn connect_lazy(config: PostgresConfig) -> Self {
        let PostgresConfig { options, settings } = config;
        let pool = Pool::new(options, settings.max_connections, settings.connect_timeout);
        Self::on(pool, settings.table)
    }

    /// Uses the application's own pool. `sqlx` pings the server when a connection comes back and, unless
    /// `test_before_acquire(false)` is set, when it is taken: up to three round trips instead of one.
    pub fn with_pool(pool: PgPool, table: &str) -> Result<Self> {
        Ok(Self::on(Pool::given(pool), table.parse()?))
    }

    fn on(pool: Pool<Postgres>, table: TableName) -> Self {
        let client = Client::new(pool, &DRIVER, REMEDY.to_owned());
        Self { client, statements: Statements::new(&table), table, clock: Arc::new(SystemClock) }
    }

    /// By which clock times are told to the caller; the server's own decides what has expired.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the table, or brings one up to date with its rows in place; does nothing when it is.
    /// Safe when many processes do it at once. Needs a user that may create the table or owns it.
    ///
    /// An expiry without a time zone, as the seeds' table has it, is read as UTC.
    pub async fn migrate(&self) -> Result<()> {
        self.migrate_from("UTC").await
    }

    /// The same for a table whose `timestamp` without a time zone holds the local time of this zone,
    /// as in `Europe/Berlin`.
    pub async fn migrate_from(&self, time_zone: &str) -> Result<()> {
        schema::migrate(&self.client, &self.table, time_zone).await
    }

    /// Compares the table with what is expected, and says what is different; one round trip.
    pub async fn check(&self) -> Result<()> {
        schema::check(&self.client, &self.table).await
    }

    /// What is stored under an id now, tombstones included.
    async fn current(&self, operation: &'static str, id: &StorageId) -> Result<Option<Record>> {
        let key = key(id);
        let statement = || self.statements.read.query().bind(&key);
        let rows = self.client.fetch(operation, statement).await?;
        rows.first().map(|row| self.record(operation, row)).transpose()
    }

    async fn refused(&self, operation: &'static str, id: &StorageId) -> Result<WriteOutcome> {
        Ok(WriteOutcome::refused(self.current(operation, id).await?))
    }

    /// The record of a row that begins with the data and the time that is left.
    fn record(&self, operation: &'static str, row: &PgRow) -> Result<Record> {
        let data: Option<Vec<u8>> = self.column(operation, row, 0)?;
        let left: PgInterval = self.column(operation, row, 1)?;
        let mut record = Record::decode(data.unwrap_or_default())
            .map_err(|error| error.in_engine(ENGINE).during(operation))?;
        let deadline = self.clock.now().after(duration(left));
        record.header.deadline = deadline.min(record.header.absolute);
        Ok(record)
    }

    fn column<'r, T>(&self, operation: &'static str, row: &'r PgRow, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(index).map_err(|error| self.client.failed(operation, Effect::Read, error))
    }
}

type Bound = Query<'static, Postgres, PgArguments>;

/// A record with everything that is stored of it: eight arguments, in the order of the statements.
struct Stored {
    key: String,
    data: Vec<u8>,
    idle: PgInterval,
    absolute: PgInterval,
    version: i64,
    owner: Option<[u8; 32]>,
    moved: bool,
    step: PgInterval,
}

impl Stored {
    fn new(id: &StorageId, record: &Record, ttl: Duration, clock: &dyn Clock) -> Result<Self> {
        let header = &record.header;
        let absolute = header.absolute.since(clock.now());
        let idle = ttl.min(absolute);
        Ok(Self {
            key: key(id),
            data: record.encode()?,
            idle: interval(idle),
            absolute: interval(absolute),
            version: header.version().0.cast_signed(),
            owner: header.owner.map(|owner| owner.0),
            moved: !record.is_live(),
            step: interval(step(idle)),
        })
    }

    fn bind(&self, statement: &Statement) -> Bound {
        self.bind_to(statement.query())
    }

    fn bind_to(&self, query: Bound) -> Bound {
        query
            .bind(&self.key)
            .bind(&self.data)
            .bind(self.idle)
            .bind(self.absolute)
            .bind(self.version)
            .bind(self.owner)
            .bind(self.moved)
            .bind(self.step)
    }
}

#[async_trait]
impl Provider for PostgresProvider {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn capabilities(&self) -> Capabilities {
        const { Capabilities::new() }
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
            Condition::Absent => stored.bind(&self.statements.create),
            Condition::Over(stamp) => stored.bind(&self.statements.replace).bind(version(stamp)),
        };
        match self.client.execute("write", statement).await? {
            Executed::Rows(1..) => Ok(WriteOutcome::stored()),
            Executed::Rows(0) | Executed::Duplicate => self.refused("write", id).await,
        }
    }

    async fn touch(&self, id: &StorageId, _seen: &Record, ttl: Duration) -> Result<bool> {
        let key = key(id);
        let step = interval(step(ttl));
        let statement = || self.statements.touch.query().bind(&key).bind(interval(ttl)).bind(step);
        Ok(self.client.execute("touch", statement).await? != Executed::Rows(0))
    }

    async fn rename(&self, rename: &Rename<'_>) -> Result<WriteOutcome> {
        let Rename { old, over, new, record, ttl, tombstone, .. } = rename;
        let tombstone = Stored::new(old, tombstone, TOMBSTONE_TTL, &*self.clock)?;
        let moved = Stored::new(new, record, *ttl, &*self.clock)?;
        let statement = || moved.bind_to(tombstone.bind(&self.statements.rename).bind(version(*over)));
        if matches!(self.client.execute("rename", statement).await?, Executed::Rows(1..)) {
            return Ok(WriteOutcome::stored());
        }
        match self.current("rename", new).await? {
            // An earlier call with these arguments did it, and only its answer was lost.
            Some(there) if there.header.has_version(record.header.version()) => Ok(WriteOutcome::stored()),
            // Somebody else's record under an id of 256 random bits: leave it alone, and draw another id.
            Some(_) => Ok(WriteOutcome::refused(None)),
            None => self.refused("rename", old).await,
        }
    }

    async fn destroy(&self, id: &StorageId, expected: Option<Stamp>) -> Result<DestroyOutcome> {
        let key = key(id);
        // Again when what is there was stored after the removal had found nothing.
        for _ in 0..3 {
            let statement = || match expected {
                None => self.statements.destroy.query().bind(&key),
                Some(stamp) => self.statements.destroy_version.query().bind(&key).bind(version(stamp)),
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
        let message = "others end and begin this session all the time";
        Err(Error::new(ErrorKind::Conflict, message).in_engine(ENGINE).during("destroy"))
    }

    async fn exists(&self, id: &StorageId) -> Result<bool> {
        let key = key(id);
        let rows = self.client.fetch("exists", || self.statements.exists.query().bind(&key)).await?;
        Ok(!rows.is_empty())
    }

    async fn count(&self) -> Result<Option<u64>> {
        let rows = self.client.fetch("count", || self.statements.count.query()).await?;
        let count = rows.first().map(|row| self.column::<i64>("count", row, 0)).transpose()?;
        Ok(count.map(i64::cast_unsigned))
    }

    async fn gc(&self, limit: usize) -> Result<usize> {
        collect(limit, |batch| async move {
            let statement = || self.statements.collect.query().bind(i64::try_from(batch).unwrap_or(i64::MAX));
            match self.client.execute("gc", statement).await? {
                Executed::Rows(rows) => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
                Executed::Duplicate => Ok(0),
            }
        })
        .await
    }
}

fn version(stamp: Stamp) -> i64 {
    stamp.version.0.cast_signed()
}

/// A hundred years are for ever, and leave the server room to add them to a date.
const LONGEST: i64 = 100 * 365 * 86_400 * 1_000_000;

fn interval(time: Duration) -> PgInterval {
    let microseconds = i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(LONGEST).min(LONGEST);
    PgInterval { months: 0, days: 0, microseconds }
}

/// What is left, as the server subtracts two times: days and microseconds.
fn duration(left: PgInterval) -> Duration {
    let microseconds = i64::from(left.days).saturating_mul(86_400_000_000).saturating_add(left.microseconds);
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its future is copied before it is polled, at every level.
    #[test]
    fn a_statement_carries_no_room_for_what_is_rare() {
        let config = "postgres://session@localhost/session".parse().unwrap();
        let provider = PostgresProvider::connect_lazy(config);
        let id = StorageId::from_hash([0; 32]);
        let bytes = size_of_val(&provider.current("read", &id));
        assert!(bytes <= 1_032, "{bytes} bytes");
    }
}
