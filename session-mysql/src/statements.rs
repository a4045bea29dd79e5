//! The statements, with the table's name filled in once.

use std::sync::Arc;

use session_sql::{LONGEST_STEP, MOST, TableName};
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

/// Statements that store a record take data, idle time to live in milliseconds, the same again with
/// its rounding mask, absolute time to live, version, owner and the tombstone flag, then the key.
/// All times are the server's.
///
/// `collect_after` is `session_expiry` rounded up to a step, a power of two: all bits below it are
/// set.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    pub(crate) create: Statement,
    pub(crate) revive: Statement,
    pub(crate) replace: Statement,
    pub(crate) touch: Statement,
    pub(crate) rename: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_version: Statement,
    pub(crate) due: Statement,
    pub(crate) exists: Statement,
    pub(crate) count: Statement,
    /// The keys and marks of expired rows, starting at a mark.
    pub(crate) ended: Statement,
    /// For [`FEW`] keys and for a full batch; unused placeholders repeat a key.
    pub(crate) collect: [Statement; 2],
    /// A page of the sessions of an owner, and of all records.
    pub(crate) list: Statement,
    pub(crate) scan: Statement,
    pub(crate) end_owner: Statement,
}

/// The number of keys of the smaller collecting statement.
pub(crate) const FEW: usize = 50;

/// The server's clock in Unix milliseconds, whatever time zone the connection is set to.
const NOW: &str = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let table = table.quoted('`');
        let step = LONGEST_STEP.as_millis().to_string();
        let fill = |text: &str| {
            let text = text.replace("{table}", &table).replace("{now}", NOW).replace("{step}", &step);
            Statement(text.into())
        };
        Self {
            // The remaining time shows whether it has expired: a condition would cost a tenth more.
            read: fill(
                "SELECT session_data, CAST(session_expiry AS SIGNED) - {now} FROM {table} WHERE session_key = ?",
            ),
            create: fill(
                "INSERT INTO {table} \
                 (session_data, session_expiry, collect_after, session_absolute, version, owner, moved, \
                 session_key) \
                 VALUES (?, {now} + ?, ({now} + ?) | ?, {now} + ?, ?, ?, ?, ?)",
            ),
            // An expired row is overwritten.
            revive: fill(
                "UPDATE {table} SET session_data = ?, session_expiry = {now} + ?, \
                 collect_after = ({now} + ?) | ?, session_absolute = {now} + ?, version = ?, owner = ?, moved = ? \
                 WHERE session_key = ? AND session_expiry <= {now}",
            ),
            replace: fill(
                "UPDATE {table} SET session_data = ?, session_expiry = {now} + ?, \
                 collect_after = ({now} + ?) | ?, session_absolute = {now} + ?, version = ?, owner = ?, moved = ? \
                 WHERE session_key = ? AND version = ? AND session_expiry > {now}",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = LEAST({now} + ?, session_absolute), \
                 collect_after = LEAST({now} + ?, session_absolute) | ? \
                 WHERE session_key = ? AND session_expiry > {now} AND NOT moved",
            ),
            // One statement stores two rows, if the old row is unchanged: the new row (part 1), and
            // the tombstone (part 2), whose key exists, so that row is updated. If the new key
            // exists too (another session's, since ids are random), the statement must fail: the
            // sum overflows its type, which undoes the statement in every sql_mode. A separate
            // check would lock the gap between two rows, and concurrent renames would wait for each
            // other.
            rename: fill(
                "INSERT INTO {table} \
                 (session_data, session_expiry, collect_after, session_absolute, version, owner, moved, \
                 session_key) \
                 SELECT IF(part.n = 1, ?, ?), {now} + IF(part.n = 1, ?, ?), \
                 ({now} + IF(part.n = 1, ?, ?)) | IF(part.n = 1, ?, ?), {now} + IF(part.n = 1, ?, ?), \
                 IF(part.n = 1, ?, ?), IF(part.n = 1, ?, ?), IF(part.n = 1, ?, ?), IF(part.n = 1, ?, ?) \
                 FROM {table} AS there JOIN (SELECT 1 AS n UNION ALL SELECT 2) AS part \
                 WHERE there.session_key = ? AND there.version = ? AND there.session_expiry > {now} \
                 FOR UPDATE \
                 ON DUPLICATE KEY UPDATE session_data = VALUES(session_data), \
                 session_expiry = VALUES(session_expiry), collect_after = VALUES(collect_after), \
                 session_absolute = VALUES(session_absolute), \
                 owner = VALUES(owner), moved = VALUES(moved), \
                 version = IF(VALUES(session_key) = ?, VALUES(version), 18446744073709551615 + VALUES(version))",
            ),
            destroy: fill(
                "DELETE FROM {table} WHERE session_key = ? AND session_expiry > {now} AND NOT moved",
            ),
            destroy_version: fill(
                "DELETE FROM {table} WHERE session_key = ? AND version = ? AND session_expiry > {now} \
                 AND NOT moved",
            ),
            due: fill(
                "SELECT COUNT(*) FROM {table} WHERE collect_after <= {now} AND session_expiry <= {now}",
            ),
            exists: fill(
                "SELECT 1 FROM {table} WHERE session_key = ? AND session_expiry > {now} AND NOT moved",
            ),
            // The index shows that most are live; rows are read only where it is not conclusive.
            count: fill(
                "SELECT (SELECT COUNT(*) FROM {table} WHERE collect_after > {now} + {step} AND NOT moved) + \
                 (SELECT COUNT(*) FROM {table} WHERE collect_after <= {now} + {step} \
                 AND session_expiry > {now} AND NOT moved)",
            ),
            // A row written by another program may have a mark that is too early.
            ended: fill(
                "SELECT CAST(session_key AS CHAR), CAST(collect_after AS SIGNED) FROM {table} \
                 WHERE collect_after >= ? AND collect_after <= {now} AND session_expiry <= {now} \
                 ORDER BY collect_after LIMIT ?",
            ),
            collect: [FEW, MOST].map(|keys| {
                let keys = vec!["?"; keys].join(",");
                fill(&format!(
                    "DELETE FROM {{table}} WHERE session_key IN ({keys}) AND session_expiry <= {{now}}"
                ))
            }),
            // Like every InnoDB index, the index on the owner includes the key: the cost of a page
            // depends only on its size.
            list: fill(
                "SELECT session_data, CAST(session_expiry AS SIGNED) - {now}, CAST(session_key AS CHAR) \
                 FROM {table} WHERE owner = ? AND session_key > ? AND session_expiry > {now} AND NOT moved \
                 ORDER BY session_key LIMIT ?",
            ),
            // Includes expired rows, so that a page is found quickly even among many of them. Rows
            // written by another program may have any deadline.
            scan: fill(
                "SELECT session_data, CAST(LEAST(session_expiry, {now} + 3153600000000) AS SIGNED) - {now}, \
                 CAST(session_key AS CHAR) FROM {table} WHERE session_key > ? ORDER BY session_key LIMIT ?",
            ),
            // Reads the latest rows and keeps them locked, gaps included (repeatable read): a row
            // whose key is replaced meanwhile is found under the new key, or one of the two
            // statements is rolled back as a deadlock.
            end_owner: fill(
                "DELETE FROM {table} WHERE owner = ? AND session_expiry > {now} AND NOT moved \
                 ORDER BY session_key LIMIT ?",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MySQL reserves words that MariaDB does not, such as `stored`. In these statements names are
    /// in lower case and keywords are not. The list is from `information_schema.keywords` of MySQL
    /// 9.7.
    #[test]
    fn no_name_is_a_word_that_mysql_reserves() {
        let reserved: Vec<&str> = include_str!("reserved_words.txt").split_whitespace().collect();
        let s = Statements::new(&"sessions".parse().unwrap());
        let reading = [s.read, s.exists, s.count, s.ended, s.list, s.scan];
        let [few, many] = s.collect;
        let writing = [
            s.create,
            s.revive,
            s.replace,
            s.touch,
            s.rename,
            s.destroy,
            s.destroy_version,
            s.end_owner,
            few,
            many,
        ];
        for statement in reading.iter().chain(&writing) {
            let mut names = statement.0.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let wrong = names.find(|name| reserved.contains(name));
            assert_eq!(wrong, None, "{}", statement.0);
        }
    }
}
