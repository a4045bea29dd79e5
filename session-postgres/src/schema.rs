//! The table: `migrations/postgres/*.sql` create it and bring it up to date, and a check finds
//! differences.

use std::time::Duration;

use session_core::{Error, ErrorKind, Result};
use session_sql::{Client, Effect, Patience, TableName, steps_of};
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{AssertSqlSafe, Row};
use tokio::time::{Instant, sleep};

use crate::failure::{ENGINE, code};
use crate::request::{Arg, Statement};

/// Each migration brings the table from the previous version to its own: the first one to version
/// 1.
pub(crate) const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_session.sql"),
    include_str!("../migrations/0002_collect_after.sql"),
    include_str!("../migrations/0003_by_user.sql"),
];

/// The prefix of the version in the table's comment.
const MARK: &str = "session-kit schema ";

/// The longest table name with which the names of its indexes fit into 63 characters.
const LONGEST: usize = 63 - "_by_expiry".len();

/// Part of the key of the advisory lock, by which one process migrates a table while the others
/// wait.
const LOCK: i64 = 7_094_703_411_062_235_961;

/// A step that blocks other transactions limits itself; the others take the time that they need.
/// Only the newest servers have the last of these settings.
const NO_LIMITS: &str = "SELECT set_config(name, '0', false) FROM pg_settings \
                         WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')";

/// The beginning of the change that reads an expiry without a time zone in that of the connection.
const RETYPE: &str = "ALTER TABLE \"session\"\n            ALTER COLUMN session_key ";

/// How long the lock of another process is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// The advice when a statement finds the table missing or different.
pub(crate) const REMEDY: &str = "run migrations/postgres/*.sql or PostgresProvider::migrate(), or connect with \
                                 migrate=true; PostgresProvider::check() reports the differences from the expected table";

const COLUMNS: [(&str, &str); 8] = [
    ("session_key", "character(64)"),
    ("session_data", "bytea"),
    ("session_expiry", "timestamp with time zone"),
    ("collect_after", "timestamp with time zone"),
    ("session_absolute", "timestamp with time zone"),
    ("version", "bigint"),
    ("moved", "boolean"),
    ("owner", "bytea"),
];

/// The description of the index on owners. It may have any name.
const INDEX: &str = "index on (owner, session_key)";

/// Runs the migrations that the table lacks. Behind a pooler every statement may be run on another
/// connection, which keeps settings and locks for the clients after this one: there are none.
pub(crate) async fn migrate(
    client: &Client<Postgres>,
    table: &TableName,
    time_zone: &str,
    is_pooled: impl Fn() -> bool,
) -> Result<()> {
    if table.table().len() > LONGEST {
        let message =
            format!("indexes are named after the table, so its name may have at most {LONGEST} characters");
        return Err(Error::config(message).in_engine(ENGINE).during("migrate"));
    }
    // A dollar sign could end the block that the name becomes a part of.
    if time_zone.contains('$') {
        return Err(Error::config("there is no such time zone").in_engine(ENGINE).during("migrate"));
    }
    let not_connected = |error| client.not_connected("migrate", error);
    let mut lease = client.pool().lease().await.map_err(not_connected)?;
    // Its settings are changed, and it holds the lock.
    lease.never_reuse();
    let connection = lease.connection().map_err(not_connected)?;
    let done = run(connection, table, time_zone, is_pooled()).await;
    lease.close();
    done.map_err(|error| client.failed("migrate", Effect::Write, error))
}

async fn run(
    connection: &mut PgConnection,
    table: &TableName,
    time_zone: &str,
    is_pooled: bool,
) -> sqlx::Result<()> {
    let name = table.quoted('"');
    if version(connection, &name).await? >= MIGRATIONS.len() {
        return Ok(());
    }
    if !is_pooled {
        sqlx::raw_sql(NO_LIMITS).execute(&mut *connection).await?;
        one_at_a_time(connection, table).await?;
    }
    let in_zone = Statement(format!("PERFORM set_config('TimeZone', $1, true); {RETYPE}").into());
    let in_zone = in_zone.text(&[Arg::Text(time_zone)]);
    for migration in MIGRATIONS.iter().skip(version(connection, &name).await?) {
        // Only the validated name and the quoted zone are inserted into the file.
        let sql = migration.replace("session_by_", &format!("{}_by_", table.table()));
        let sql = sql.replace(RETYPE, &in_zone).replace("\"session\"", &name);
        for step in steps_of(&sql) {
            let mut patience = Patience::default();
            while let Err(error) = run_step(connection, &step).await {
                patience.after(error, may_pass).await?;
            }
        }
    }
    Ok(())
}

async fn run_step(connection: &mut PgConnection, step: &[String]) -> sqlx::Result<()> {
    for statement in step {
        sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes the lock by polling, without a pending statement, because a concurrent index build waits
/// for all statements. Servers without such locks, and poolers, go without it: concurrent steps of
/// several processes then cause errors that are retried.
async fn one_at_a_time(connection: &mut PgConnection, table: &TableName) -> sqlx::Result<()> {
    let schema = table.schema().map_or_else(|| "current_schema()".to_owned(), |schema| format!("'{schema}'"));
    let place = format!("hashtextextended(concat({schema}, '.', '{}'), 0)", table.table());
    let lock = format!("SELECT pg_try_advisory_lock({LOCK} # {place})::text");
    let begun = Instant::now();
    loop {
        let row = match sqlx::raw_sql(AssertSqlSafe(lock.clone())).fetch_one(&mut *connection).await {
            Err(error) if code(&error).is_some_and(|code| matches!(code, "0A000" | "42883" | "42501")) => {
                return Ok(());
            }
            row => row?,
        };
        if row.try_get::<String, _>(0)? == "true" || begun.elapsed() > PATIENCE {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn version(connection: &mut PgConnection, name: &str) -> sqlx::Result<usize> {
    let comment = Statement("SELECT obj_description(to_regclass($1), 'pg_class')".into());
    let comment = sqlx::raw_sql(AssertSqlSafe(comment.text(&[Arg::Text(name)])));
    let comment: Option<String> = comment.fetch_one(&mut *connection).await?.try_get(0)?;
    Ok(comment.and_then(|comment| comment.strip_prefix(MARK)?.parse().ok()).unwrap_or(0))
}

/// Returns whether an error may be transient: a lock timeout, a deadlock, or another process that
/// did the same concurrently.
fn may_pass(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| {
        matches!(
            code,
            "55P03" | "40P01" | "40001" | "23505" | "42P07" | "42701" | "42710" | "42P06" | "XX000"
        )
    })
}

/// Compares the table with the one that the statements expect.
pub(crate) async fn check(client: &Client<Postgres>, table: &TableName, as_text: bool) -> Result<()> {
    let name = table.quoted('"');
    let columns = Statement(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped \
         UNION ALL SELECT $2, '' FROM pg_index WHERE indrelid = to_regclass($1) AND indisvalid \
         AND pg_get_indexdef(indexrelid, 1, true) = 'owner' \
         AND pg_get_indexdef(indexrelid, 2, true) = 'session_key'"
            .into(),
    );
    let rows = client.fetch("check", || columns.with(&[Arg::Text(&name), Arg::Text(INDEX)], as_text)).await?;
    let found = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<sqlx::Result<Vec<(String, String)>>>()
        .map_err(|error| client.failed("check", Effect::Read, error))?;
    let wrong = |what: String| {
        let message = format!("{what}; {REMEDY}");
        Err(Error::new(ErrorKind::Config, message).in_engine(ENGINE).during("check"))
    };
    if found.is_empty() {
        return wrong(format!("there is no table {name} that this user may see"));
    }
    for (column, expected) in COLUMNS {
        match found.iter().find(|(name, _)| name == column) {
            None => return wrong(format!("the table {name} has no column {column}")),
            Some((_, kind)) if kind != expected => {
                return wrong(format!(
                    "the column {column} of the table {name} is {kind}, but must be {expected}"
                ));
            }
            Some(_) => {}
        }
    }
    if found.iter().all(|(name, _)| name != INDEX) {
        return wrong(format!("the table {name} has no {INDEX}"));
    }
    Ok(())
}
