//! Classifies the driver's errors, and formats them without stored values.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use session_core::ErrorKind;
use sqlx::Error;

/// The total number of attempts for a statement that had no effect and may succeed on a retry.
pub(crate) const ATTEMPTS: u32 = 5;

/// The meaning of a driver error for the statement and its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused the statement and did nothing; the connection is usable.
    Refused(ErrorKind, Cow<'static, str>),
    /// A row with that key exists; nothing was done and the connection is usable.
    Duplicate,
    /// The statement was rolled back (deadlock, serialization failure) and can be retried.
    Again,
    /// The statement waited too long for a locked row, and nothing was done: it is retried once.
    Locked(Cow<'static, str>),
    /// Nothing was done, and a retry on a new connection may succeed (the table was altered since
    /// the statement was prepared).
    Renew,
    /// Nothing was done, and this connection and all others of its generation lead to an unusable
    /// server (a primary that has become a replica).
    Moved(Cow<'static, str>),
    /// The table is missing or different; nothing was done.
    Schema,
    /// The connection failed; the statement may have been executed.
    Lost,
}

impl Failure {
    /// Whether a retry may succeed after this number of attempts.
    pub(crate) const fn may_pass(&self, sent: u32) -> bool {
        match self {
            Self::Again | Self::Renew => sent < ATTEMPTS,
            Self::Locked(_) => sent < 2,
            _ => false,
        }
    }
}

/// The printable form of a driver error: the server's code, and its message unless it may quote
/// values.
///
/// `quotes_values` says whether the server's message for this error may repeat stored values, such
/// as "Duplicate entry '…'". Details, hints and statements are never included.
pub fn cause(error: Error, quotes_values: bool) -> Box<dyn StdError + Send + Sync> {
    let Error::Database(answer) = &error else { return error.into() };
    let code = answer.code().map_or_else(|| "no code".to_owned(), Cow::into_owned);
    let message = (!quotes_values).then(|| answer.message().to_owned());
    Box::new(ServerError { code, message })
}

#[derive(Debug)]
struct ServerError {
    code: String,
    message: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server said {}", self.code)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for ServerError {}
