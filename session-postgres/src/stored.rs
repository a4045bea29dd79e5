//! A record with the values of its columns, as the arguments of statements.

use std::time::Duration;

use session_core::Result;
use session_core::clock::Clock;
use session_core::id::StorageId;
use session_core::record::Record;
use session_sql::{key, step};
use sqlx::postgres::types::PgInterval;

use crate::request::Arg;

/// A record with all stored columns: eight arguments, in the order of the statements.
pub(crate) struct Stored {
    pub key: String,
    data: Vec<u8>,
    idle: PgInterval,
    absolute: PgInterval,
    version: i64,
    owner: Option<[u8; 32]>,
    moved: bool,
    step: PgInterval,
}

impl Stored {
    pub fn new(id: &StorageId, record: &Record, ttl: Duration, clock: &dyn Clock) -> Result<Self> {
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

    pub fn arguments(&self) -> [Arg<'_>; 8] {
        [
            Arg::Text(&self.key),
            Arg::Bytes(&self.data),
            Arg::Time(self.idle),
            Arg::Time(self.absolute),
            Arg::Number(self.version),
            self.owner.as_ref().map_or(Arg::NoBytes, |owner| Arg::Bytes(owner)),
            Arg::Flag(self.moved),
            Arg::Time(self.step),
        ]
    }
}

/// A hundred years: unlimited in practice, and the server can still add it to a date.
const LONGEST: i64 = 100 * 365 * 86_400 * 1_000_000;

pub(crate) fn interval(time: Duration) -> PgInterval {
    let microseconds = i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(LONGEST).min(LONGEST);
    PgInterval { months: 0, days: 0, microseconds }
}
