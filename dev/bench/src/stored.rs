//! Stores that hold many sessions, filled by their own means.

use std::time::Duration;

use session_core::id::{StorageId, Token};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

use crate::work::Shape;

/// How many rows one statement adds.
const CHUNK: u64 = 50_000;

/// MariaDB writes out what was filled before it is measured.
pub const MARIADB: [&str; 1] = ["--innodb-max-dirty-pages-pct-lwm=0.001"];

/// The id of the session with that number: the hash of the number as a token, which SQL can compute as well.
pub fn id(number: u64) -> StorageId {
    StorageId::of(&Token::new(&number.to_string()).expect("digits are a token"))
}

/// What is spread over a store is asked for in this order.
pub const fn scattered(number: u64, sessions: u64) -> u64 {
    number.wrapping_mul(7_919) % sessions
}

/// How many sessions, and how many of them have ended.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    pub from: u64,
    pub to: u64,
    pub expired: u64,
}

impl Fill {
    /// Parts of one statement's size.
    fn chunks(self) -> impl Iterator<Item = (u64, u64)> {
        (self.from..self.to).step_by(CHUNK as usize).map(move |from| (from, self.to.min(from + CHUNK)))
    }

    /// One in so many has ended; zero when none has.
    fn every(self) -> u64 {
        (self.to - self.from).checked_div(self.expired).unwrap_or(0)
    }
}

/// Fills PostgreSQL's table, and lets the server settle.
pub async fn postgres(pool: &PgPool, fill: Fill) -> sqlx::Result<()> {
    let data = Shape::USUAL.record(LIFETIME).encode().expect("encoded");
    for (from, to) in fill.chunks() {
        let rows = "INSERT INTO session \
            (session_key, session_data, session_expiry, collect_after, session_absolute, version) \
            SELECT encode(sha256(n::text::bytea), 'hex'), $1, \
            ending, date_bin('131072 ms', ending, 'epoch') + '131072 ms', now() + interval '1 day', n \
            FROM (SELECT n, CASE WHEN $4 > 0 AND n % greatest($4, 1) = 0 THEN now() - random() * interval '1 hour' \
            ELSE now() + (1 + random()) * interval '6 hours' END AS ending FROM generate_series($2, $3 - 1) AS n) rows";
        let rows = sqlx::query(rows).bind(&data).bind(from.cast_signed()).bind(to.cast_signed());
        rows.bind(fill.every().cast_signed()).execute(pool).await?;
    }
    for settle in ["VACUUM ANALYZE session", "CHECKPOINT"] {
        sqlx::query(settle).execute(pool).await?;
    }
    Ok(())
}

/// Fills MariaDB's table, and lets the server settle.
pub async fn mysql(pool: &MySqlPool, fill: Fill) -> sqlx::Result<()> {
    let data = Shape::USUAL.record(LIFETIME).encode().expect("encoded");
    for (from, to) in fill.chunks() {
        let numbers = format!("seq_{from}_to_{}", to - 1);
        let rows = format!(
            "INSERT INTO session \
             (session_key, session_data, session_expiry, collect_after, session_absolute, version) \
             SELECT sha2(seq, 256), ?, @ending := (UNIX_TIMESTAMP() + IF(? > 0 AND seq % greatest(?, 1) = 0, \
             -3600 * rand(), 21600 * (1 + rand()))) * 1000, @ending | 131071, \
             (UNIX_TIMESTAMP() + 86400) * 1000, seq FROM {numbers}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(rows)).bind(&data);
        rows.bind(fill.every()).bind(fill.every()).execute(pool).await?;
    }
    sqlx::query("ANALYZE TABLE session").execute(pool).await?;
    // What was filled is written to disk in the background, for a while.
    for _ in 0..300 {
        let dirty = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
                     WHERE variable_name = 'innodb_buffer_pool_pages_dirty'";
        if sqlx::query_scalar::<_, i64>(dirty).fetch_one(pool).await? < 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// How long they live, in the record and in the rows. The engines round the end of that up to 131,072 ms.
const LIFETIME: Duration = Duration::from_hours(12);
