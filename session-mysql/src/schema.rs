//! The table: made and brought up to date by `migrations/mysql/*.sql`, and looked at when something is wrong.

use session_core::{Error, ErrorKind, Result};
use session_sql::{Client, Effect, TableName};
use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::{AssertSqlSafe, Row};

use crate::failure::ENGINE;

/// Each brings the table from the version before to its own: the first one to version 1.
pub(crate) const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/mysql/0001_session.sql"),
    include_str!("../../migrations/mysql/0002_collect_after.sql"),
];

/// What the table's comment says before the version.
const MARK: &str = "session-kit schema ";

/// What is said when a statement finds the table missing or different.
pub(crate) const REMEDY: &str = "run migrations/mysql/*.sql or MySqlProvider::migrate(); MySqlProvider::check() compares the \
                                 table with what is expected";

/// Some servers say how wide a number is printed, as in `bigint(20) unsigned`: that is left out.
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

/// Runs the migrations that the table has not seen.
pub(crate) async fn migrate(client: &Client<MySql>, table: &TableName) -> Result<()> {
    let pool = client.pool();
    let mut connection = pool.dedicated().await.map_err(|error| client.not_connected("migrate", error))?;
    run(&mut connection, table).await.map_err(|error| client.failed("migrate", Effect::Write, error))
}

async fn run(connection: &mut MySqlConnection, table: &TableName) -> sqlx::Result<()> {
    let comment = "SELECT CAST(table_comment AS CHAR) FROM information_schema.tables \
                   WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    let row = sqlx::query(comment)
        .bind(table.schema())
        .bind(table.table())
        .fetch_optional(&mut *connection)
        .await?;
    let comment: String = row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let version = comment.strip_prefix(MARK).and_then(|version| version.parse::<usize>().ok()).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(version) {
        // Nothing but the checked name is put into the file.
        let mut sql = migration.replace("`session`", &table.quoted('`'));
        sql = sql.replace("'session'", &format!("'{}'", table.table()));
        if let Some(schema) = table.schema() {
            sql = sql.replace("DATABASE()", &format!("'{schema}'"));
        }
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Compares the table with what the statements expect.
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
                    "the column {column} of the table {table} is {kind}, it has to be {expected}"
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
