//! The statements, with the table's name filled in once.

use std::sync::Arc;

use session_sql::TableName;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;

/// A statement that is prepared once per connection.
#[derive(Debug)]
pub(crate) struct Statement(pub(crate) Arc<str>);

impl Statement {
    /// The statement, to bind arguments to. Its text holds nothing but a checked table name.
    pub(crate) fn query(&self) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.0)))
    }
}

/// `$1` is always the storage id. It comes as `text` and is cast, because a `char(64)` column that is compared
/// with `text` is cast itself, and then no index is used. All times are the server's own: `now()` is the time
/// at which the statement arrived.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    pub(crate) current: Statement,
    pub(crate) create: Statement,
    pub(crate) replace: Statement,
    pub(crate) touch: Statement,
    pub(crate) rename: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_version: Statement,
    pub(crate) exists: Statement,
    pub(crate) count: Statement,
    pub(crate) collect: Statement,
}

/// A tombstone, by the first bytes of the encoded record: the format's name and number, and the state.
const IS_TOMBSTONE: &str = "coalesce(substring(session_data FOR 5) IN (decode('53534e0101', 'hex'), decode('53534e0102', 'hex')), false)";

/// The row that lay under the id until a moment ago: what a tombstone is on other engines.
const WAS_UNDER: &str = "previous_key = $1::bpchar AND moved_at > now() - interval '60 seconds'";

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let table = table.quoted('"');
        let fill = |text: &str| {
            let text = text.replace("{table}", &table).replace("{is_tombstone}", IS_TOMBSTONE);
            Statement(text.replace("{was_under}", WAS_UNDER).into())
        };
        Self {
            read: fill(
                "SELECT session_data, session_expiry - now() FROM {table} \
                 WHERE session_key = $1::bpchar AND session_expiry > now()",
            ),
            current: fill(
                "SELECT session_data, session_expiry - now(), \
                 CASE WHEN session_key <> $1::bpchar THEN session_key::text END FROM {table} \
                 WHERE (session_key = $1::bpchar OR {was_under}) AND session_expiry > now() \
                 ORDER BY session_key <> $1::bpchar LIMIT 1",
            ),
            create: fill(
                "INSERT INTO {table} AS stored \
                 (session_key, session_data, session_expiry, session_absolute, version, owner) \
                 VALUES ($1::bpchar, $2, now() + $3, now() + $4, $5, $6) \
                 ON CONFLICT (session_key) DO UPDATE SET \
                 session_data = excluded.session_data, session_expiry = excluded.session_expiry, \
                 session_absolute = excluded.session_absolute, version = excluded.version, \
                 owner = excluded.owner, previous_key = NULL, moved_at = NULL \
                 WHERE stored.session_expiry <= now()",
            ),
            replace: fill(
                "UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6 \
                 WHERE session_key = $1::bpchar AND version = $7 AND session_expiry > now()",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = least(now() + $2, session_absolute) \
                 WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT {is_tombstone}",
            ),
            rename: fill(
                "UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6, \
                 session_key = $8::bpchar, previous_key = session_key, moved_at = now() \
                 WHERE session_key = $1::bpchar AND version = $7 AND session_expiry > now()",
            ),
            destroy: fill(
                "DELETE FROM {table} WHERE (session_key = $1::bpchar OR {was_under}) AND NOT {is_tombstone} \
                 RETURNING session_expiry > now()",
            ),
            destroy_version: fill(
                "DELETE FROM {table} WHERE session_key = $1::bpchar AND version = $2 \
                 AND session_expiry > now() AND NOT {is_tombstone}",
            ),
            exists: fill(
                "SELECT 1 FROM {table} \
                 WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT {is_tombstone}",
            ),
            count: fill("SELECT count(*) FROM {table} WHERE session_expiry > now()"),
            collect: fill(
                "DELETE FROM {table} WHERE session_key = ANY (ARRAY( \
                 SELECT session_key FROM {table} WHERE session_expiry <= now() \
                 ORDER BY session_expiry LIMIT $1 FOR UPDATE SKIP LOCKED))",
            ),
        }
    }
}
