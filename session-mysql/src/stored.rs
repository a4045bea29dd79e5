//! A record with the values of its columns, as the arguments of statements.

use std::time::Duration;

use session_core::Result;
use session_core::clock::Clock;
use session_core::id::StorageId;
use session_core::record::Record;
use session_sql::{key, step};
use sqlx::mysql::{MySql, MySqlArguments};
use sqlx::query::Query;

use crate::statements::Statement;

pub(crate) type Bound = Query<'static, MySql, MySqlArguments>;

/// A record with the values of all its columns.
pub(crate) struct Stored {
    pub key: String,
    pub data: Vec<u8>,
    idle: u64,
    /// The bit mask that rounds its deadline up.
    below: u64,
    absolute: u64,
    version: u64,
    owner: Option<[u8; 32]>,
    moved: bool,
}

impl Stored {
    pub fn new(id: &StorageId, record: &Record, ttl: Duration, clock: &dyn Clock) -> Result<Self> {
        let header = &record.header;
        let absolute = header.absolute.since(clock.now());
        let idle = ttl.min(absolute);
        Ok(Self {
            key: key(id),
            data: record.encode()?,
            idle: milliseconds(idle),
            below: below(idle),
            absolute: milliseconds(absolute),
            version: header.version().0,
            owner: header.owner.map(|owner| owner.0),
            moved: !record.is_live(),
        })
    }

    /// Binds the eight arguments before the key.
    pub fn bind(&self, statement: &Statement) -> Bound {
        statement
            .query()
            .bind(&self.data)
            .bind(self.idle)
            .bind(self.idle)
            .bind(self.below)
            .bind(self.absolute)
            .bind(self.version)
            .bind(self.owner())
            .bind(self.moved)
    }

    /// Binds nine pairs of arguments, the key included.
    pub fn bind_with(&self, other: &Self, statement: &Statement) -> Bound {
        let query = statement.query().bind(&self.data).bind(&other.data);
        let query = query.bind(self.idle).bind(other.idle).bind(self.idle).bind(other.idle);
        let query = query.bind(self.below).bind(other.below).bind(self.absolute).bind(other.absolute);
        let query = query.bind(self.version).bind(other.version).bind(self.owner()).bind(other.owner());
        query.bind(self.moved).bind(other.moved).bind(&self.key).bind(&other.key)
    }

    fn owner(&self) -> Option<&[u8]> {
        self.owner.as_ref().map(|owner| &owner[..])
    }
}

/// A hundred years: practically forever, and safe to add to the time on every server.
const LONGEST: u64 = 100 * 365 * 86_400 * 1_000;

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).min(LONGEST)
}

/// The bits below the step to which a deadline is rounded up.
pub(crate) fn below(idle: Duration) -> u64 {
    milliseconds(step(idle)) - 1
}
