//! The meaning of PostgreSQL's error codes for a session.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use session_core::ErrorKind;
use session_sql::{Driver, Failure};
use sqlx::Error;
use sqlx::postgres::{PgDatabaseError, PgSeverity, Postgres};

pub(crate) const ENGINE: &str = "postgresql";

pub(crate) static DRIVER: Driver<Postgres> = Driver {
    engine: ENGINE,
    classify,
    // Data exceptions and broken constraints quote the value.
    quotes_values: |error| code(error).is_some_and(|code| matches!(class(code), "22" | "23")),
    rows_affected: sqlx::postgres::PgQueryResult::rows_affected,
};

fn classify(error: &Error) -> Failure {
    match error {
        Error::Database(answer) => match answer.try_downcast_ref::<PgDatabaseError>() {
            Some(answer) => by_code(answer.code(), answer.severity()),
            None => Failure::Lost,
        },
        Error::PoolTimedOut => {
            Failure::Refused(ErrorKind::Unavailable, "all connections of the pool are in use".into())
        }
        Error::PoolClosed => Failure::Refused(ErrorKind::Unavailable, "the pool is closed".into()),
        Error::Configuration(_) => {
            Failure::Refused(ErrorKind::Config, "the connection options are invalid".into())
        }
        Error::Tls(_) => {
            Failure::Refused(ErrorKind::Config, "TLS failed with this sslmode and sslrootcert".into())
        }
        Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::Decode(_)
        | Error::TypeNotFound { .. } => Failure::Schema,
        _ => Failure::Lost,
    }
}

fn by_code(code: &str, severity: PgSeverity) -> Failure {
    let unavailable = |message: &'static str| Failure::Refused(ErrorKind::Unavailable, message.into());
    let config = |message: &'static str| Failure::Refused(ErrorKind::Config, message.into());
    match code {
        // These come before the check for fatal errors, because they are fatal too.
        "28000" | "28P01" => config("the server does not accept this user and password"),
        "3D000" => config("there is no such database"),
        "53300" => unavailable("the server has no connection left"),
        "57P03" => unavailable("the server is starting or stopping"),
        _ if matches!(severity, PgSeverity::Fatal | PgSeverity::Panic) => Failure::Lost,

        "23505" => Failure::Duplicate,
        "40001" | "40P01" => Failure::Again,
        // "cached plan must not change result type": the table was altered after the statement was
        // prepared.
        "0A000" => Failure::Renew,
        "25006" => {
            Failure::Moved("the server is read-only: a standby, or a primary that has become one".into())
        }
        "26000" | "42P05" => config(
            "prepared statements get lost on the way to the server, but no pooler was recognized: set \
             prepared_statements=false",
        ),
        "42P16" => config("the table, or an index of another one, is in the way of the migration"),
        "42501" => {
            config("the user needs SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema")
        }
        "42P01" | "42703" | "42804" | "42846" | "42883" | "42P10" | "3F000" | "22001" | "22P03" | "23502" => {
            Failure::Schema
        }
        "55P03" => Failure::Locked("another transaction locks the row: lock_timeout".into()),
        "57014" => unavailable("the server cancelled the statement: statement_timeout, or a cancel request"),
        // Connection exceptions: a pooler reports a lost server like this.
        _ if class(code) == "08" => Failure::Lost,
        _ if class(code) == "54" => {
            Failure::Refused(ErrorKind::TooLarge, "the server cannot store it".into())
        }
        _ if class(code) == "53" => {
            unavailable("the server does not have enough memory, disk space or connections")
        }
        _ => unavailable("the server refused the statement"),
    }
}

/// Returns the five-character SQLSTATE of an error.
pub(crate) fn code(error: &Error) -> Option<&str> {
    match error {
        Error::Database(answer) => answer.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code),
        _ => None,
    }
}

fn class(code: &str) -> &str {
    code.get(..2).unwrap_or(code)
}
