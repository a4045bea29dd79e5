//! The table: made and brought up to date by `migrations/postgres/*.sql`, and looked at when something is wrong.

use session_core::{Error, ErrorKind, Result};
use session_sql::{Client, Effect, TableName};
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{AssertSqlSafe, Row};

use crate::failure::ENGINE;

/// Each brings the table from the version before to its own: the first one to version 1.
pub(crate) const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/postgres/0001_session.sql"),
    include_str!("../../migrations/postgres/0002_collect_after.sql"),
];

/// What the table's comment says before the version.
const MARK: &str = "session-kit schema ";

/// The longest table name after which indexes can be named, in at most 63 characters.
const LONGEST: usize = 63 - "_by_expiry".len();

/// What is said when a statement finds the table missing or different.
pub(crate) const REMEDY: &str = "run migrations/postgres/*.sql or PostgresProvider::migrate(); PostgresProvider::check() \
                                 compares the table with what is expected";

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

/// Runs the migrations that the table has not seen.
pub(crate) async fn migrate(client: &Client<Postgres>, table: &TableName, time_zone: &str) -> Result<()> {
    if table.table().len() > LONGEST {
        let message = format!("indexes are named after the table: its name may have {LONGEST} characters");
        return Err(Error::config(message).in_engine(ENGINE).during("migrate"));
    }
    let pool = client.pool();
    let mut connection = pool.dedicated().await.map_err(|error| client.not_connected("migrate", error))?;
    run(&mut connection, table, time_zone)
        .await
        .map_err(|error| client.failed("migrate", Effect::Write, error))
}

async fn run(connection: &mut PgConnection, table: &TableName, time_zone: &str) -> sqlx::Result<()> {
    let name = table.quoted('"');
    let comment = "SELECT obj_description(to_regclass($1), 'pg_class')";
    let row = sqlx::query(comment).bind(&name).fetch_one(&mut *connection).await?;
    let comment: Option<String> = row.try_get(0)?;
    let version = comment.and_then(|comment| comment.strip_prefix(MARK)?.parse::<usize>().ok()).unwrap_or(0);
    sqlx::query("SELECT set_config('TimeZone', $1, false)").bind(time_zone).execute(&mut *connection).await?;
    for migration in MIGRATIONS.iter().skip(version) {
        // Nothing but the checked name is put into the file, which is a transaction of its own.
        let sql =
            migration.replace("\"session\"", &name).replace("session_by_", &format!("{}_by_", table.table()));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Compares the table with what the statements expect.
pub(crate) async fn check(client: &Client<Postgres>, table: &TableName) -> Result<()> {
    let name = table.quoted('"');
    let columns = || {
        sqlx::query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        )
        .bind(name.clone())
    };
    let rows = client.fetch("check", columns).await?;
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
                    "the column {column} of the table {name} is {kind}, it has to be {expected}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
