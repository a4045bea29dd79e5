//! The statements, with the table's name filled in once.

use session_sql::{LONGEST_STEP, TableName};

use crate::request::Statement;

/// `$1` is always the storage id. It comes as `text` and is cast, because a `char(64)` column that
/// is compared with `text` is cast itself, and then no index is used. What stores a record goes on
/// with data, idle and absolute time to live, version, owner, whether it is a tombstone, and a
/// step. All times are the server's own: `now()` is the time at which the statement arrived.
///
/// `collect_after` is `session_expiry` rounded up to the step: `date_bin` rounds down.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    /// The same for an answer that is text.
    pub(crate) read_text: Statement,
    pub(crate) create: Statement,
    pub(crate) replace: Statement,
    pub(crate) touch: Statement,
    pub(crate) rename: Statement,
    pub(crate) destroy: Statement,
    pub(crate) destroy_version: Statement,
    pub(crate) due: Statement,
    pub(crate) exists: Statement,
    pub(crate) count: Statement,
    /// The keys and marks of rows that have expired; and the same from a mark on.
    pub(crate) ended: Statement,
    pub(crate) ended_from: Statement,
    pub(crate) collect: Statement,
}

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let table = table.quoted('"');
        let step = format!("interval '{} ms'", LONGEST_STEP.as_millis());
        let fill = |text: &str| Statement(text.replace("{table}", &table).replace("{step}", &step).into());
        Self {
            read: fill(&READ.replace("{data}", "session_data")),
            read_text: fill(&READ.replace("{data}", "encode(session_data, 'hex')")),
            // A row that has expired is in nobody's way.
            create: fill(
                "INSERT INTO {table} AS stored \
                 (session_key, session_data, session_expiry, session_absolute, version, owner, moved, \
                 collect_after) \
                 VALUES ($1::bpchar, $2, now() + $3, now() + $4, $5, $6, $7, \
                 date_bin($8, now() + $3, 'epoch') + $8) \
                 ON CONFLICT (session_key) DO UPDATE SET \
                 session_data = excluded.session_data, session_expiry = excluded.session_expiry, \
                 session_absolute = excluded.session_absolute, version = excluded.version, \
                 owner = excluded.owner, moved = excluded.moved, collect_after = excluded.collect_after \
                 WHERE stored.session_expiry <= now()",
            ),
            replace: fill(
                "UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6, moved = $7, \
                 collect_after = date_bin($8, now() + $3, 'epoch') + $8 \
                 WHERE session_key = $1::bpchar AND version = $9 AND session_expiry > now()",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = least(now() + $2, session_absolute), \
                 collect_after = date_bin($3, least(now() + $2, session_absolute), 'epoch') + $3 \
                 WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved",
            ),
            // The tombstone over the old row, and only where that was possible the new row.
            rename: fill(
                "WITH old AS (UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6, moved = $7, \
                 collect_after = date_bin($8, now() + $3, 'epoch') + $8 \
                 WHERE session_key = $1::bpchar AND version = $9 AND session_expiry > now() RETURNING 1) \
                 INSERT INTO {table} \
                 (session_key, session_data, session_expiry, session_absolute, version, owner, moved, \
                 collect_after) \
                 SELECT $10::bpchar, $11, now() + $12, now() + $13, $14, $15, $16, \
                 date_bin($17, now() + $12, 'epoch') + $17 FROM old",
            ),
            destroy: fill(
                "DELETE FROM {table} WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved",
            ),
            destroy_version: fill(
                "DELETE FROM {table} WHERE session_key = $1::bpchar AND version = $2 \
                 AND session_expiry > now() AND NOT moved",
            ),
            due: fill(
                "SELECT count(*) FROM {table} WHERE collect_after <= now() AND session_expiry <= now()",
            ),
            exists: fill(
                "SELECT 1 FROM {table} WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved",
            ),
            // The index knows of most that they live; only where it is not sure their rows are
            // looked at.
            count: fill(
                "SELECT (SELECT count(*) FROM {table} WHERE collect_after > now() + {step} AND NOT moved) + \
                 (SELECT count(*) FROM {table} WHERE collect_after <= now() + {step} \
                 AND session_expiry > now() AND NOT moved)",
            ),
            ended: fill(&ENDED.replace("{from}", "")),
            ended_from: fill(&ENDED.replace("{from}", "collect_after >= 'epoch'::timestamptz + $2 AND ")),
            // Cast as keys are, but not to `char(64)`: the array would be padded.
            collect: fill(
                "DELETE FROM {table} WHERE session_key = ANY (ARRAY( \
                 SELECT session_key FROM {table} WHERE session_key = ANY ($1::text[]::bpchar[]) \
                 AND session_expiry <= now() FOR UPDATE SKIP LOCKED))",
            ),
        }
    }
}

const READ: &str = "SELECT {data}, (extract(epoch FROM session_expiry - now()) * 1000000)::bigint FROM {table} \
                    WHERE session_key = $1::bpchar AND session_expiry > now()";

/// A row that something else has written may be marked too early, so that its own end counts too.
const ENDED: &str = "SELECT session_key::text, \
                     (extract(epoch FROM greatest(collect_after, 'epoch')) * 1000000)::bigint FROM {table} \
                     WHERE {from}collect_after <= now() AND session_expiry <= now() \
                     ORDER BY collect_after LIMIT $1";
