//! The statements, with the table's name filled in once.

use std::sync::Arc;

use session_sql::TableName;
use sqlx::AssertSqlSafe;
use sqlx::mysql::{MySql, MySqlArguments};
use sqlx::query::Query;

/// A statement that is prepared once per connection.
#[derive(Debug)]
pub(crate) struct Statement(pub(crate) Arc<str>);

impl Statement {
    /// The statement, to bind arguments to. Its text holds nothing but a checked table name.
    pub(crate) fn query(&self) -> Query<'static, MySql, MySqlArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.0)))
    }
}

/// Five arguments are common to all that store a record, and come first: data, idle and absolute time to live in
/// milliseconds, version and owner. All times are the server's own.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    pub(crate) current: Statement,
    pub(crate) create: Statement,
    pub(crate) revive: Statement,
    pub(crate) replace: Statement,
    pub(crate) touch: Statement,
    pub(crate) rename: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_version: Statement,
    pub(crate) exists: Statement,
    pub(crate) count: Statement,
    pub(crate) collect: Statement,
}

/// The server's clock in Unix milliseconds, whatever time zone the connection is set to.
const NOW: &str = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";

/// A tombstone, by the first bytes of the encoded record: the format's name and number, and the state.
const IS_TOMBSTONE: &str = "COALESCE(LEFT(session_data, 5) IN (x'53534e0101', x'53534e0102'), FALSE)";

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let table = table.quoted('`');
        let fill = |text: &str| {
            let text = text.replace("{table}", &table).replace("{now}", NOW);
            Statement(text.replace("{is_tombstone}", IS_TOMBSTONE).into())
        };
        Self {
            read: fill(
                "SELECT session_data, CAST(session_expiry - {now} AS SIGNED) FROM {table} \
                 WHERE session_key = ? AND session_expiry > {now}",
            ),
            // The second row is the one that lay under the id until a moment ago: a tombstone on other engines.
            current: fill(
                "SELECT session_data, CAST(session_expiry - {now} AS SIGNED), NULL AS moved_to FROM {table} \
                 WHERE session_key = ? AND session_expiry > {now} UNION ALL \
                 SELECT session_data, CAST(session_expiry - {now} AS SIGNED), session_key FROM {table} \
                 WHERE previous_key = ? AND moved_at > {now} - 60000 AND session_expiry > {now}",
            ),
            create: fill(
                "INSERT INTO {table} \
                 (session_data, session_expiry, session_absolute, version, owner, session_key) \
                 VALUES (?, {now} + ?, {now} + ?, ?, ?, ?)",
            ),
            revive: fill(
                "UPDATE {table} SET session_data = ?, session_expiry = {now} + ?, session_absolute = {now} + ?, \
                 version = ?, owner = ?, previous_key = NULL, moved_at = NULL \
                 WHERE session_key = ? AND session_expiry <= {now}",
            ),
            replace: fill(
                "UPDATE {table} SET session_data = ?, session_expiry = {now} + ?, session_absolute = {now} + ?, \
                 version = ?, owner = ? WHERE session_key = ? AND version = ? AND session_expiry > {now}",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = LEAST({now} + ?, session_absolute) \
                 WHERE session_key = ? AND session_expiry > {now} AND NOT {is_tombstone}",
            ),
            // Assignments are made from left to right: the old key is kept before it is replaced.
            rename: fill(
                "UPDATE {table} SET session_data = ?, session_expiry = {now} + ?, session_absolute = {now} + ?, \
                 version = ?, owner = ?, moved_at = {now}, previous_key = session_key, session_key = ? \
                 WHERE session_key = ? AND version = ? AND session_expiry > {now}",
            ),
            destroy: fill(
                "DELETE FROM {table} WHERE session_key = ? AND session_expiry > {now} AND NOT {is_tombstone}",
            ),
            destroy_version: fill(
                "DELETE FROM {table} WHERE session_key = ? AND version = ? AND session_expiry > {now} \
                 AND NOT {is_tombstone}",
            ),
            exists: fill(
                "SELECT 1 FROM {table} WHERE session_key = ? AND session_expiry > {now} AND NOT {is_tombstone}",
            ),
            count: fill("SELECT COUNT(*) FROM {table} WHERE session_expiry > {now}"),
            collect: fill(
                "DELETE FROM {table} WHERE session_expiry <= {now} ORDER BY session_expiry LIMIT ?",
            ),
        }
    }
}
