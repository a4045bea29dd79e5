//! The statements, with the table's name filled in once.

use std::sync::Arc;

use session_sql::TableName;
use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

/// A statement that is prepared once per connection.
#[derive(Debug)]
pub(crate) struct Statement(pub(crate) Arc<str>);

impl Statement {
    /// The statement, to bind arguments to. Its text holds nothing but a checked table name.
    pub(crate) fn query(&self) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.0)))
    }
}

/// `?1` is the key, except in statements that find many rows. Statements that store a record
/// continue with data, idle deadline, absolute deadline, version, owner and the tombstone flag
/// (`?2` to `?7`). All times are Unix milliseconds by the provider's clock. The last argument of a
/// statement that changes rows is the current time, bound when it runs: it may have waited.
///
/// Expired rows are found by `collect_after`, which is indexed and equal to `session_expiry` or a
/// little earlier: a row between the two is checked and kept.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    pub(crate) create: Statement,
    pub(crate) replace_data: Statement,
    pub(crate) replace: Statement,
    pub(crate) touch: Statement,
    pub(crate) rename: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_version: Statement,
    pub(crate) due: Statement,
    pub(crate) exists: Statement,
    pub(crate) count: Statement,
    pub(crate) collect: Statement,
    pub(crate) list: Statement,
    pub(crate) end_owner: Statement,
    pub(crate) scan: Statement,
}

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let table = table.quoted('"');
        let fill = |text: &str| Statement(text.replace("{table}", &table).into());
        Self {
            read: fill(
                "SELECT session_data, session_expiry, collect_after FROM {table} WHERE session_key = ?1",
            ),
            // An expired row is replaced.
            create: fill(
                "INSERT INTO {table} AS stored \
                 (session_key, session_data, session_expiry, collect_after, session_absolute, \
                 version, owner, moved) \
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (session_key) DO UPDATE SET \
                 session_data = excluded.session_data, session_expiry = excluded.session_expiry, \
                 collect_after = excluded.collect_after, session_absolute = excluded.session_absolute, \
                 version = excluded.version, owner = excluded.owner, moved = excluded.moved \
                 WHERE stored.session_expiry <= ?8",
            ),
            // SQLite rewrites the entry of every index whose columns are named after SET, even if
            // their values do not change: half of the cost of a write. This statement does not
            // touch the indexes, and matches only if the indexed columns need no change.
            replace_data: fill(
                "UPDATE {table} SET session_data = ?2, session_expiry = ?3, session_absolute = ?4, \
                 version = ?5 \
                 WHERE session_key = ?1 AND version = ?8 AND session_expiry > ?10 \
                 AND collect_after BETWEEN ?9 AND ?3 AND owner IS ?6 AND moved = ?7",
            ),
            replace: fill(
                "UPDATE {table} SET session_data = ?2, session_expiry = ?3, collect_after = ?3, \
                 session_absolute = ?4, version = ?5, owner = ?6, moved = ?7 \
                 WHERE session_key = ?1 AND version = ?8 AND session_expiry > ?9",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = min(?2, session_absolute), \
                 collect_after = min(?2, session_absolute) \
                 WHERE session_key = ?1 AND session_expiry > ?3 AND moved = 0",
            ),
            // One statement stores two rows if the old row is unchanged: the tombstone (?1 to ?7),
            // whose key exists, so its row is updated, and the new row (?8 to ?14). If the new key
            // exists too, its version becomes NULL, which the table refuses, and the whole
            // statement is rolled back.
            rename: fill(
                "INSERT INTO {table} \
                 (session_key, session_data, session_expiry, collect_after, session_absolute, \
                 version, owner, moved) \
                 SELECT * FROM (VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7), \
                 (?8, ?9, ?10, ?10, ?11, ?12, ?13, ?14)) \
                 WHERE EXISTS (SELECT 1 FROM {table} \
                 WHERE session_key = ?1 AND version = ?15 AND session_expiry > ?16) \
                 ON CONFLICT (session_key) DO UPDATE SET \
                 session_data = excluded.session_data, session_expiry = excluded.session_expiry, \
                 collect_after = excluded.collect_after, session_absolute = excluded.session_absolute, \
                 owner = excluded.owner, moved = excluded.moved, \
                 version = CASE WHEN excluded.session_key = ?1 THEN excluded.version END",
            ),
            destroy: fill("DELETE FROM {table} WHERE session_key = ?1 AND session_expiry > ?2 AND moved = 0"),
            destroy_version: fill(
                "DELETE FROM {table} \
                 WHERE session_key = ?1 AND session_expiry > ?3 AND moved = 0 AND version = ?2",
            ),
            due: fill("SELECT count(*) FROM {table} WHERE collect_after <= ?1 AND session_expiry <= ?1"),
            exists: fill(
                "SELECT 1 FROM {table} WHERE session_key = ?1 AND session_expiry > ?2 AND moved = 0",
            ),
            count: fill(
                "SELECT (SELECT count(*) FROM {table} WHERE collect_after > ?1 AND moved = 0) + \
                 (SELECT count(*) FROM {table} \
                 WHERE collect_after <= ?1 AND session_expiry > ?1 AND moved = 0)",
            ),
            collect: fill(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} \
                 WHERE collect_after <= ?2 AND session_expiry <= ?2 ORDER BY collect_after LIMIT ?1)",
            ),
            // In the order of the index, so that the cost of a page depends only on its size.
            list: fill(
                "SELECT session_data, session_expiry, collect_after, session_key FROM {table} \
                 WHERE owner = ?1 AND session_key > ?2 AND session_expiry > ?3 AND moved = 0 \
                 ORDER BY session_key LIMIT ?4",
            ),
            end_owner: fill(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} \
                 WHERE owner = ?1 AND session_expiry > ?3 AND moved = 0 ORDER BY session_key LIMIT ?2)",
            ),
            // Includes expired rows, so that a page is found quickly even among many of them.
            scan: fill(
                "SELECT session_data, session_expiry, collect_after, session_key FROM {table} \
                 WHERE session_key > ?1 ORDER BY session_key LIMIT ?2",
            ),
        }
    }
}
