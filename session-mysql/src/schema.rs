//! The table: created and updated by `migrations/mysql/*.sql`, and checked after an error.

use std::time::Duration;

use session_core::{Error, ErrorKind, Result};
use session_sql::{Client, Effect, Patience, TableName, steps_of};
use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::{AssertSqlSafe, Row};
use tokio::time::{Instant, sleep};

use crate::failure::{ENGINE, number};

/// Each upgrades the table from the previous version to its own: the first one to version 1.
pub(crate) const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_session.sql"), include_str!("../migrations/0002_collect_after.sql")];

/// The prefix of the version in the table's comment.
const MARK: &str = "session-kit schema ";

/// The advice when the table is missing or different.
pub(crate) const REMEDY: &str = "run migrations/mysql/*.sql or MySqlProvider::migrate(), or connect with \
                                 migrate=true; MySqlProvider::check() compares the table with what is expected";

/// Removes the display width of some servers, as in `bigint(20) unsigned`.
const COLUMNS: [(&str, &str); 8] = [
    ("session_key", "char(64)"),
    ("session_data", "longblob"),
    ("session_expiry", "bigint unsigned"),
    ("collect_after", "bigint unsigned"),
    ("session_absolute", "bigint unsigned"),
    ("version", "bigint unsigned"),
    ("moved", "tinyint"),
    ("owner", "binary(32)"),
];

/// The beginning of the name of the lock that lets one process migrate a table while the others
/// wait. All databases of a server share these names.
const LOCK: &str = "session-kit migration";

/// How long the lock of another process is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many rows are written at once when a column is filled.
const BATCH: u64 = 100;

/// Runs the migrations that the table has not had yet.
pub(crate) async fn migrate(client: &Client<MySql>, table: &TableName) -> Result<()> {
    let not_connected = |error| client.not_connected("migrate", error);
    let mut lease = client.pool().lease().await.map_err(not_connected)?;
    // Its settings are changed, and it holds the lock.
    lease.never_reuse();
    let connection = lease.connection().map_err(not_connected)?;
    let done = run(connection, table).await;
    lease.close();
    done.map_err(|error| client.failed("migrate", Effect::Write, error))
}

async fn run(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<()> {
    if version(connection, table).await? >= MIGRATIONS.len() {
        return Ok(());
    }
    // Building an index may take long. Only MariaDB has this variable.
    if let Err(error) = execute(connection, "SET SESSION max_statement_time = 0").await
        && number(&error).is_none()
    {
        return Err(error);
    }
    one_at_a_time(connection, table).await?;
    let name = table.quoted('`');
    for migration in MIGRATIONS.iter().skip(version(connection, table).await?) {
        // Only the checked table name is inserted into the file.
        let mut sql = migration.replace("`session`", &name);
        sql = sql.replace("'session'", &format!("'{}'", table.table()));
        if let Some(schema) = table.schema() {
            sql = sql.replace("DATABASE()", &format!("'{schema}'"));
        }
        for step in steps_of(&sql) {
            match step.as_slice() {
                [update] if update.starts_with("UPDATE") => in_batches(connection, &name, update).await?,
                step => {
                    let mut patience = Patience::default();
                    while let Err(error) = run_step(connection, table, step).await {
                        patience.after(error, may_pass).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

async fn run_step(connection: &mut MySqlConnection, table: &TableName, step: &[String]) -> sqlx::Result<()> {
    for statement in step {
        if statement.starts_with("EXECUTE") || statement.starts_with("ALTER") {
            nobody_holds(connection, table).await?;
        }
        execute(connection, statement).await?;
    }
    Ok(())
}

/// Fails if a transaction has the table open: otherwise all statements would queue behind the
/// change, which waits for that transaction. MariaDB does not wait here, MySQL for a second.
async fn nobody_holds(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<()> {
    let Some(comment) = comment(connection, table).await? else { return Ok(()) };
    let comment = comment.replace('\'', "''").replace('\\', "");
    execute(connection, "SET SESSION lock_wait_timeout = 0").await?;
    let same = format!("ALTER TABLE {} COMMENT = '{comment}'", table.quoted('`'));
    let done = execute(connection, &same).await;
    execute(connection, "SET SESSION lock_wait_timeout = 1").await?;
    done.map(drop)
}

/// Updates the rows in the order of their keys, each batch in a transaction of its own.
async fn in_batches(connection: &mut MySqlConnection, table: &str, update: &str) -> sqlx::Result<()> {
    let update = update.replacen(" SET ", " FORCE INDEX (PRIMARY) SET ", 1);
    let (mut first, mut patience) = (String::new(), Patience::default());
    loop {
        match batch(connection, table, &update, &first).await {
            Ok(None) => return Ok(()),
            Ok(Some(end)) => (first, patience) = (end, Patience::default()),
            Err(error) => patience.after(error, may_pass).await?,
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Updates the rows after a key, and returns the key after which the next batch begins. Without the
/// range, each batch would search through all rows of the earlier ones.
async fn batch(
    connection: &mut MySqlConnection,
    table: &str,
    update: &str,
    after: &str,
) -> sqlx::Result<Option<String>> {
    let end = format!(
        "SELECT CAST(session_key AS CHAR) FROM {table} WHERE session_key > ? ORDER BY session_key \
         LIMIT 1 OFFSET {}",
        BATCH - 1
    );
    let end = sqlx::query_scalar(AssertSqlSafe(end)).bind(after);
    let end: Option<String> = end.fetch_optional(&mut *connection).await?;
    let range = if end.is_some() { "session_key > ? AND session_key <= ?" } else { "session_key > ?" };
    let update = sqlx::query(AssertSqlSafe(format!("{update} AND {range}"))).bind(after);
    match &end {
        Some(end) => update.bind(end),
        None => update,
    }
    .execute(&mut *connection)
    .await?;
    Ok(end)
}

async fn execute(connection: &mut MySqlConnection, statement: &str) -> sqlx::Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    Ok(done.rows_affected())
}

/// Waits without a running statement. Clusters that refuse such a lock work without it: concurrent
/// steps then fail with retryable errors.
async fn one_at_a_time(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<()> {
    let schema = table.schema().map_or_else(|| "DATABASE()".to_owned(), |schema| format!("'{schema}'"));
    // A name may have 64 characters.
    let place = format!("LEFT(SHA2(CONCAT({schema}, '.', '{}'), 256), 40)", table.table());
    let lock = format!("SELECT CAST(GET_LOCK(CONCAT('{LOCK} ', {place}), 0) AS SIGNED)");
    let begun = Instant::now();
    loop {
        let row = match sqlx::raw_sql(AssertSqlSafe(lock.as_str())).fetch_one(&mut *connection).await {
            Err(error) if number(&error).is_some() => return Ok(()),
            row => row?,
        };
        // NULL: the server could not tell.
        if row.try_get::<Option<i64>, _>(0)? != Some(0) || begun.elapsed() > PATIENCE {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn comment(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<Option<String>> {
    let comment = "SELECT CAST(table_comment AS CHAR) FROM information_schema.tables \
                   WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    let query = sqlx::query(comment).bind(table.schema()).bind(table.table());
    query.fetch_optional(&mut *connection).await?.map(|row| row.try_get(0)).transpose()
}

async fn version(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<usize> {
    let comment = comment(connection, table).await?;
    Ok(comment.and_then(|comment| comment.strip_prefix(MARK)?.parse().ok()).unwrap_or(0))
}

/// A lock timeout, a deadlock, or another process that did the same at the same time.
fn may_pass(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1205 | 1213 | 1020 | 1050 | 1060 | 1061 | 1091 | 1412 | 1969))
}

/// Compares the table with the columns that the statements expect.
pub(crate) async fn check(client: &Client<MySql>, table: &TableName) -> Result<()> {
    let columns = || {
        sqlx::query(
            "SELECT CAST(column_name AS CHAR), CAST(column_type AS CHAR) FROM information_schema.columns \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
        )
        .bind(table.schema())
        .bind(table.table())
    };
    let rows = client.fetch("check", columns).await?;
    let found = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, without_width(row.try_get(1)?))))
        .collect::<sqlx::Result<Vec<(String, String)>>>()
        .map_err(|error| client.failed("check", Effect::Read, error))?;
    let wrong = |what: String| {
        let message = format!("{what}; {REMEDY}");
        Err(Error::new(ErrorKind::Config, message).in_engine(ENGINE).during("check"))
    };
    if found.is_empty() {
        return wrong(format!("there is no table {table} that this user may see"));
    }
    for (column, expected) in COLUMNS {
        match found.iter().find(|(name, _)| name == column) {
            None => return wrong(format!("the table {table} has no column {column}")),
            Some((_, kind)) if kind != expected => {
                return wrong(format!(
                    "the column {column} of the table {table} is {kind}, but must be {expected}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn without_width(kind: &str) -> String {
    match (kind.find("int("), kind.find(')')) {
        (Some(open), Some(close)) => format!("{}{}", &kind[..open + 3], &kind[close + 1..]),
        _ => kind.to_owned(),
    }
}
