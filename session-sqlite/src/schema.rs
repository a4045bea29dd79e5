//! The table: created by `migrations/sqlite/*.sql`, and compared with the expected one.

use session_core::{Error, Result};
use session_sql::TableName;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::ENGINE;
use crate::failure::{Effect, failed};

/// Every statement is idempotent, so all of them are run each time, without a transaction that a
/// dropped future could leave open. Versions are distinguished by their columns: `user_version`
/// belongs to the application, which may have its own tables in the file.
pub(crate) const MIGRATION: &str =
    concat!(include_str!("../migrations/0001_session.sql"), include_str!("../migrations/0002_by_user.sql"),);

/// The advice when the table is missing or different.
pub(crate) const REMEDY: &str =
    "run migrations/sqlite/*.sql or SqliteProvider::migrate(), or connect with `migrate=true`";

const COLUMNS: [(&str, &str); 8] = [
    ("session_key", "TEXT"),
    ("session_data", "BLOB"),
    ("session_expiry", "INTEGER"),
    ("collect_after", "INTEGER"),
    ("session_absolute", "INTEGER"),
    ("version", "INTEGER"),
    ("moved", "INTEGER"),
    ("owner", "BLOB"),
];

/// Checks for an index on the sessions of a user, under any name.
const INDEX: &str = "SELECT 1 FROM pragma_index_list(?1) AS list WHERE \
                     (SELECT name FROM pragma_index_info(list.name) WHERE seqno = 0) = 'owner' AND \
                     (SELECT name FROM pragma_index_info(list.name) WHERE seqno = 1) = 'session_key'";

/// Finds an index of another table that has the name of one of ours: a table that is renamed keeps
/// the names of its indexes.
const TAKEN: &str = "SELECT name FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) <> lower(?1) \
                     AND lower(name) IN (lower(?1) || '_by_ending', lower(?1) || '_by_user')";

/// Creates the table and its indexes if they are missing.
pub(crate) async fn migrate(connection: &mut SqliteConnection, table: &TableName) -> Result<()> {
    let taken = sqlx::query_scalar(TAKEN).bind(table.table().to_owned()).fetch_optional(&mut *connection);
    let taken: Option<String> = taken.await.map_err(|error| failed("migrate", Effect::Read, error))?;
    if let Some(name) = taken {
        let error = Error::config(format!("another table has an index named {name}: drop that index"));
        return Err(error.in_engine(ENGINE).during("migrate"));
    }
    // Only the checked table name is inserted into the file.
    let sql = MIGRATION
        .replace("\"session\"", &table.quoted('"'))
        .replace("session_by_", &format!("{}_by_", table.table()));
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(drop).map_err(|error| failed("migrate", Effect::Write, error))
}

/// Compares the table with the columns that the statements expect.
pub(crate) async fn check(connection: &mut SqliteConnection, table: &TableName) -> Result<()> {
    let columns = sqlx::query("SELECT name, type FROM pragma_table_info(?1)").bind(table.table().to_owned());
    let found = columns.fetch_all(&mut *connection).await.and_then(|rows| {
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<sqlx::Result<Vec<_>>>()
    });
    let found: Vec<(String, String)> = found.map_err(|error| failed("check", Effect::Read, error))?;
    let wrong = |what: String| {
        let error = Error::config(format!("{what}; {REMEDY}"));
        Err(error.in_engine(ENGINE).during("check"))
    };
    if found.is_empty() {
        return wrong(format!("there is no table {table}"));
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
    let index = sqlx::query(INDEX).bind(table.table().to_owned()).fetch_optional(connection).await;
    if index.map_err(|error| failed("check", Effect::Read, error))?.is_none() {
        return wrong(format!("the table {table} has no index on (owner, session_key)"));
    }
    Ok(())
}
