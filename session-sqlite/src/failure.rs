//! Classifies SQLite's error codes.
//!
//! Codes: <https://www.sqlite.org/rescode.html>

use session_core::{Error, ErrorKind};
use sqlx::Error as Sqlx;

use crate::ENGINE;
use crate::schema::REMEDY;

/// Whether a statement changes something, which decides the error kind of an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// The error of a statement, or of opening a connection.
pub(crate) fn failed(operation: &'static str, effect: Effect, error: Sqlx) -> Error {
    let (kind, message) = meaning(effect, &error);
    // SQLite's messages name tables and columns, never values or paths.
    Error::new(kind, message).in_engine(ENGINE).during(operation).with_source(error)
}

/// Whether another connection has locked the database.
pub(crate) fn is_busy(error: &Sqlx) -> bool {
    code(error).is_some_and(|code| code & 0xff == 5)
}

/// Whether the operating system denies access to the file or its additional files.
pub(crate) fn is_no_access(error: &Sqlx) -> bool {
    code(error).is_some_and(|code| matches!(code & 0xff, 3 | 8 | 14 | 23))
}

/// Whether the file is something else than a database.
pub(crate) fn is_no_database(error: &Sqlx) -> bool {
    code(error).is_some_and(|code| code & 0xff == 26)
}

/// Whether a row with that key exists; the whole statement was rolled back.
pub(crate) fn is_duplicate(error: &Sqlx) -> bool {
    const NOT_NULL: i32 = 1299;
    const PRIMARY_KEY: i32 = 1555;
    const UNIQUE: i32 = 2067;
    matches!(code(error), Some(NOT_NULL | PRIMARY_KEY | UNIQUE))
}

/// Whether one statement may be the reason why its transaction cannot be committed: the others may
/// succeed without it.
pub(crate) fn is_of_one_statement(error: &Sqlx) -> bool {
    // A failed statement, a full disk, a value that is too long, a violated constraint, a value of
    // another type.
    code(error).is_some_and(|code| matches!(code & 0xff, 1 | 13 | 18 | 19 | 20))
}

/// Whether a transaction could not be undone because SQLite had already undone it.
pub(crate) fn is_undone(error: &Sqlx) -> bool {
    code(error) == Some(1)
}

/// The extended result code.
fn code(error: &Sqlx) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn meaning(effect: Effect, error: &Sqlx) -> (ErrorKind, String) {
    let unavailable = |message: &str| (ErrorKind::Unavailable, message.to_owned());
    let unclear = |message: &str| {
        let kind = if effect == Effect::Write { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
        (kind, message.to_owned())
    };
    let schema = || (ErrorKind::Config, format!("the table is missing or different; {REMEDY}"));
    let Some(code) = code(error) else {
        return match error {
            Sqlx::PoolTimedOut => unavailable("all connections of the pool are in use"),
            Sqlx::PoolClosed => unavailable("the pool is closed"),
            Sqlx::ColumnDecode { .. }
            | Sqlx::ColumnNotFound(_)
            | Sqlx::ColumnIndexOutOfBounds { .. }
            | Sqlx::Decode(_)
            | Sqlx::TypeNotFound { .. } => schema(),
            Sqlx::WorkerCrashed => unclear("the thread of the connection has ended"),
            _ => unclear("the connection failed"),
        };
    };
    match code & 0xff {
        1 | 19 | 20 => schema(),
        5 | 6 => unavailable(
            "another connection has kept the database locked for longer than `busy_timeout`; nothing was \
             changed",
        ),
        // A full disk is code 13: this is a failing disk, or the process's limit on file sizes.
        10 => unclear("the operating system cannot read or write the database file"),
        11 => unavailable(
            "the database file is damaged: stop the service, and restore it or rescue it with \
             `sqlite3 … .recover`",
        ),
        26 => (ErrorKind::Config, "the file is not an SQLite database, or is encrypted".to_owned()),
        8 | 3 | 23 => unavailable(
            "the database is read-only: this process needs to write the file, and to create files \
             beside it",
        ),
        13 => (
            ErrorKind::Full,
            "the disk, the quota or `max_page_count` is full; nothing was changed".to_owned(),
        ),
        14 => unavailable(
            "the database file cannot be opened: it is missing, its directory is not accessible, or too many \
             files are open",
        ),
        18 => (ErrorKind::TooLarge, "SQLite stores at most 1,000,000,000 bytes in a row".to_owned()),
        _ => unavailable("SQLite refused the statement; nothing was changed"),
    }
}
