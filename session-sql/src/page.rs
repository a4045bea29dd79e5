//! Pages of rows in the order of their keys, for lists and scans.

use session_core::engine::{Cursor, Listed, Page};
use session_core::id::StorageId;
use session_core::record::Record;
use session_core::{Error, ErrorKind, Result};

use crate::key::LONGEST;

/// The key after which a page begins; the first page begins after the empty key.
///
/// [`Config`](ErrorKind::Config) for the cursor of another engine.
pub fn begin(engine: &'static str, operation: &'static str, cursor: Option<&Cursor>) -> Result<String> {
    let Some(Cursor(key)) = cursor else { return Ok(String::new()) };
    let key = std::str::from_utf8(key).ok().filter(|key| {
        (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    });
    let message = "the cursor belongs to another list: start again without a cursor";
    let wrong = || Error::config(message).in_engine(engine).during(operation);
    key.map(str::to_owned).ok_or_else(wrong)
}

/// Builds a page from rows, of which `limit` were requested: each has its key and its record, or
/// `None` if that has expired. An id that was too long for the key is returned as its hash, which
/// has the same key. A row is skipped if it is not a record (another library's, or damaged) or was
/// written by a newer version.
pub fn page(rows: Vec<(String, Result<Option<Record>>)>, limit: usize) -> Result<Page> {
    let next =
        if rows.len() < limit { None } else { rows.last().map(|(key, _)| Cursor(key.as_bytes().into())) };
    let mut sessions = Vec::with_capacity(rows.len());
    for (key, record) in rows {
        match record {
            Ok(record) => {
                let found = record.zip(StorageId::from_text(&key).ok());
                sessions.extend(found.map(|(record, id)| Listed::new(id, record)));
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                tracing::debug!("skipped an unreadable row: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Page { sessions, next })
}

/// The error for sessions whose ids are replaced faster than they can be ended.
pub fn contended(engine: &'static str, operation: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "too many concurrent changes to these sessions; retry the request")
        .in_engine(engine)
        .during(operation)
}

/// How often an owner's sessions are searched again if their ids were replaced during the call.
pub const MOVES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_continues_after_its_last_row_even_if_that_is_unreadable() {
        let corrupt = || Err(Error::new(ErrorKind::Corrupt, "it is no record"));
        let rows = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), corrupt())).collect();
        let full = page(rows(&["a", "b c"]), 2).unwrap();
        assert!(full.sessions.is_empty());
        assert_eq!(begin("sql", "list", full.next.as_ref()).unwrap(), "b c");
        assert!(page(rows(&["a"]), 2).unwrap().next.is_none());
        assert_eq!(begin("sql", "list", None).unwrap(), "");
    }

    #[test]
    fn a_server_error_is_not_a_skipped_row() {
        let gone = Err(Error::new(ErrorKind::Unavailable, "the connection was lost"));
        assert_eq!(page(vec![("a".to_owned(), gone)], 2).unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_cursor_of_another_engine_is_refused() {
        for foreign in [&b""[..], b"\x00abc", b"\xff", "ä".as_bytes(), &[b'a'; LONGEST + 1]] {
            let error = begin("sql", "list", Some(&Cursor(foreign.into()))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
