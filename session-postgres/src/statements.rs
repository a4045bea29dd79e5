//! The SQL statements, with the table's name filled in once.

use session_sql::{LONGEST_STEP, TableName};

use crate::notices::{CHANNEL, EVERYTHING};
use crate::request::Statement;

/// `$1` is the storage id, except in statements that find many rows. It is passed as `text` and
/// cast, because otherwise a `char(64)` column that is compared with `text` would be cast itself,
/// and no index would be used. In statements that store a record, the data, the idle and the
/// absolute time to live, the version, the owner, the tombstone flag, and a step follow. All times
/// are the server's: `now()` is the time at which the statement arrived.
///
/// `collect_after` is `session_expiry` rounded up to the step: `date_bin` rounds down.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: Statement,
    /// The same for an answer as text.
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
    /// The keys and marks of expired rows; and the same from a mark on.
    pub(crate) ended: Statement,
    pub(crate) ended_from: Statement,
    pub(crate) collect: Statement,
    /// A page of the sessions of an owner, and of all records: `[prepared, for an answer as text]`.
    pub(crate) list: [Statement; 2],
    pub(crate) scan: [Statement; 2],
    pub(crate) end_owner: Statement,
}

impl Statements {
    /// With `notices`, statements that change an existing row also send a notice, which is an
    /// additional argument.
    pub(crate) fn new(table: &TableName, notices: bool) -> Self {
        let table = table.quoted('"');
        let step = format!("interval '{} ms'", LONGEST_STEP.as_millis());
        let fill = |text: &str| Statement(text.replace("{table}", &table).replace("{step}", &step).into());
        let notifying = |text: &str, payload: &str, otherwise: &str| {
            let notify = format!("RETURNING pg_notify('{CHANNEL}', {payload})");
            fill(&text.replace("{notify}", if notices { &notify } else { otherwise }))
        };
        Self {
            read: fill(&READ.replace("{data}", DATA[0])),
            read_text: fill(&READ.replace("{data}", DATA[1])),
            // A create overwrites an expired row.
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
            replace: notifying(
                "UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6, moved = $7, \
                 collect_after = date_bin($8, now() + $3, 'epoch') + $8 \
                 WHERE session_key = $1::bpchar AND version = $9 AND session_expiry > now() {notify}",
                "$10",
                "",
            ),
            touch: fill(
                "UPDATE {table} SET session_expiry = least(now() + $2, session_absolute), \
                 collect_after = date_bin($3, least(now() + $2, session_absolute), 'epoch') + $3 \
                 WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved",
            ),
            // Writes the tombstone over the old row, and only if that succeeds the new row.
            rename: notifying(
                "WITH old AS (UPDATE {table} SET session_data = $2, session_expiry = now() + $3, \
                 session_absolute = now() + $4, version = $5, owner = $6, moved = $7, \
                 collect_after = date_bin($8, now() + $3, 'epoch') + $8 \
                 WHERE session_key = $1::bpchar AND version = $9 AND session_expiry > now() {notify}) \
                 INSERT INTO {table} \
                 (session_key, session_data, session_expiry, session_absolute, version, owner, moved, \
                 collect_after) \
                 SELECT $10::bpchar, $11, now() + $12, now() + $13, $14, $15, $16, \
                 date_bin($17, now() + $12, 'epoch') + $17 FROM old",
                "$18",
                "RETURNING 1",
            ),
            destroy: notifying(
                "DELETE FROM {table} WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved \
                 {notify}",
                "$2",
                "",
            ),
            destroy_version: notifying(
                "DELETE FROM {table} WHERE session_key = $1::bpchar AND version = $2 \
                 AND session_expiry > now() AND NOT moved {notify}",
                "$3",
                "",
            ),
            due: fill(
                "SELECT count(*) FROM {table} WHERE collect_after <= now() AND session_expiry <= now()",
            ),
            exists: fill(
                "SELECT 1 FROM {table} WHERE session_key = $1::bpchar AND session_expiry > now() AND NOT moved",
            ),
            // For most rows the index alone shows that they are live; only near their expiry the
            // rows are read.
            count: fill(
                "SELECT (SELECT count(*) FROM {table} WHERE collect_after > now() + {step} AND NOT moved) + \
                 (SELECT count(*) FROM {table} WHERE collect_after <= now() + {step} \
                 AND session_expiry > now() AND NOT moved)",
            ),
            ended: fill(&ENDED.replace("{from}", "")),
            ended_from: fill(&ENDED.replace("{from}", "collect_after >= 'epoch'::timestamptz + $2 AND ")),
            // Cast like keys, but not to `char(64)`, which would pad the array's elements.
            collect: fill(
                "DELETE FROM {table} WHERE session_key = ANY (ARRAY( \
                 SELECT session_key FROM {table} WHERE session_key = ANY ($1::text[]::bpchar[]) \
                 AND session_expiry <= now() FOR UPDATE SKIP LOCKED))",
            ),
            list: DATA.map(|data| fill(&LIST.replace("{data}", data))),
            scan: DATA.map(|data| fill(&SCAN.replace("{data}", data))),
            // Each row is checked twice: as of the start of the statement and, if it was changed
            // meanwhile, as it is now. A session that got another key is not ended under the old
            // one, and only the next statement sees the new one. So the answer contains the number
            // of rows that were seen as well: if it is zero, none are left. With `=` instead of `IS
            // NOT DISTINCT FROM` the server might read all rows of the owner for the few keys that
            // were seen. A key may be a raw id, which must not be sent, so the notice is that any
            // session may have changed.
            end_owner: notifying(
                "WITH seen AS MATERIALIZED (SELECT session_key FROM {table} \
                 WHERE owner = $1 AND session_expiry > now() AND NOT moved ORDER BY session_key LIMIT $2), \
                 ended AS (DELETE FROM {table} WHERE session_key = ANY (ARRAY(SELECT session_key FROM seen)) \
                 AND owner IS NOT DISTINCT FROM $1 AND session_expiry > now() AND NOT moved {notify}) \
                 SELECT (SELECT count(*) FROM ended), (SELECT count(*) FROM seen)",
                &format!("'{EVERYTHING}'"),
                "RETURNING 1",
            ),
        }
    }
}

/// The record's data, prepared and for an answer as text.
const DATA: [&str; 2] = ["session_data", "encode(session_data, 'hex')"];

const READ: &str = "SELECT {data}, (extract(epoch FROM session_expiry - now()) * 1000000)::bigint FROM {table} \
                    WHERE session_key = $1::bpchar AND session_expiry > now()";

/// A row that other software has written may be marked too early, so its own expiry is checked too.
const ENDED: &str = "SELECT session_key::text, \
                     (extract(epoch FROM greatest(collect_after, 'epoch')) * 1000000)::bigint FROM {table} \
                     WHERE {from}collect_after <= now() AND session_expiry <= now() \
                     ORDER BY collect_after LIMIT $1";

/// In the order of the index, so that a page costs only its rows. The selected key has an alias, or
/// the rows would be sorted by its text.
const LIST: &str = "SELECT {data}, (extract(epoch FROM session_expiry - now()) * 1000000)::bigint, \
                    session_key::text AS key FROM {table} \
                    WHERE owner = $1 AND session_key > $2::bpchar AND session_expiry > now() AND NOT moved \
                    ORDER BY session_key LIMIT $3";

/// Includes expired rows, so that a page is found quickly even if many have expired. A row that
/// other software has written may have any expiry, even an infinite one.
const SCAN: &str = "SELECT {data}, (extract(epoch FROM least(greatest(session_expiry, now()), \
                    now() + interval '100 years') - now()) * 1000000)::bigint, session_key::text AS key FROM {table} \
                    WHERE session_key > $1::bpchar ORDER BY session_key LIMIT $2";
