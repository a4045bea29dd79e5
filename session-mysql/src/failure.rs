//! Classifies the error numbers of MySQL and MariaDB.
//!
//! Numbers: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>

use session_core::ErrorKind;
use session_sql::{Driver, Failure};
use sqlx::Error;
use sqlx::mysql::{MySql, MySqlDatabaseError};

pub(crate) const ENGINE: &str = "mysql";

pub(crate) static DRIVER: Driver<MySql> = Driver {
    engine: ENGINE,
    classify,
    // "Duplicate entry '…'", "Incorrect string value: '…'" and the like.
    quotes_values: |error| {
        number(error)
            .is_some_and(|number| matches!(number, 1062 | 1264 | 1265 | 1292 | 1366 | 1406 | 1586 | 1690))
    },
    rows_affected: sqlx::mysql::MySqlQueryResult::rows_affected,
};

fn classify(error: &Error) -> Failure {
    match error {
        Error::Database(_) => number(error).map_or(Failure::Lost, by_number),
        Error::PoolTimedOut => {
            Failure::Refused(ErrorKind::Unavailable, "all connections of the pool are in use".into())
        }
        Error::PoolClosed => Failure::Refused(ErrorKind::Unavailable, "the pool is closed".into()),
        Error::Configuration(_) => {
            Failure::Refused(ErrorKind::Config, "the connection cannot be set up".into())
        }
        Error::Tls(_) => Failure::Refused(ErrorKind::Config, "no TLS as tls and ssl-ca ask for".into()),
        Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::Decode(_)
        | Error::TypeNotFound { .. } => Failure::Schema,
        _ => Failure::Lost,
    }
}

fn by_number(number: u16) -> Failure {
    let unavailable = |message: &'static str| Failure::Refused(ErrorKind::Unavailable, message.into());
    let config = |message: &'static str| Failure::Refused(ErrorKind::Config, message.into());
    match number {
        // The last one is the error of a rename to an existing key.
        1062 | 1586 | 1690 => Failure::Duplicate,
        // A deadlock; or, in MariaDB, a row that changed under a snapshot.
        1213 | 1020 => Failure::Again,
        // The statement was prepared before the table was altered, or the server dropped it; or the
        // server closed the idle connection.
        1615 | 1243 | 4031 => Failure::Renew,
        1290 | 1792 | 1836 | 3100 => {
            Failure::Moved("the server is read-only: a replica, or a primary that has become one".into())
        }
        // Galera: a node that has lost the others or is synchronizing.
        1047 => Failure::Moved("the node is not ready for statements".into()),
        1044 | 1045 | 1698 | 1820 | 1862 | 3118 => {
            config("the server does not accept this user and password")
        }
        1129 | 1130 => config("the server does not accept this host"),
        3159 => config("the server requires TLS: set tls=true"),
        1049 => config("there is no such database"),
        1142 | 1143 | 1370 => config("the user needs SELECT, INSERT, UPDATE and DELETE on the table"),
        1054 | 1146 | 1048 | 1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 1932 => Failure::Schema,
        1153 => Failure::Refused(ErrorKind::TooLarge, "more than the server's max_allowed_packet".into()),
        1040 | 1203 | 1226 => unavailable("the server has no connection left"),
        1205 => Failure::Locked("another transaction holds the row: innodb_lock_wait_timeout".into()),
        1317 | 1969 | 3024 => unavailable("the server gave up: a limit on statements, or cancelled"),
        1021 | 1037 | 1038 | 1041 | 1114 => unavailable("the server has not enough memory or disk"),
        1461 => unavailable("the server's max_prepared_stmt_count is reached"),
        // The server is shutting down or closing this connection: the statement may have been
        // executed.
        1053 | 1077 | 1079 | 1152 | 1159 | 1161 | 1184 | 1927 | 3169 => Failure::Lost,
        _ => unavailable("the server refused the statement"),
    }
}

/// The server's number for what went wrong.
pub(crate) fn number(error: &Error) -> Option<u16> {
    match error {
        Error::Database(answer) => {
            answer.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
        }
        _ => None,
    }
}
