//! What an error of the driver means, and how it is told without giving away what was stored.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use session_core::ErrorKind;
use sqlx::Error;

/// How often a statement that did nothing, and may succeed when it is sent again, is sent all in
/// all.
pub(crate) const ATTEMPTS: u32 = 5;

/// What an error of the driver means for the statement and its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused the statement and did nothing; the connection is sound.
    Refused(ErrorKind, Cow<'static, str>),
    /// There is a row with that key already; nothing was done and the connection is sound.
    Duplicate,
    /// The statement lost against others (deadlock, serialization failure) and was rolled back: it
    /// can be sent again.
    Again,
    /// The statement waited too long for a row that another holds, and nothing was done: it is sent
    /// once more.
    Locked(Cow<'static, str>),
    /// Nothing was done, and on a new connection it may succeed (prepared for a table that was
    /// altered since).
    Renew,
    /// Nothing was done, and this connection, like all others of its time, leads to a server that
    /// can do nothing for us (a primary that has become a replica).
    Moved(Cow<'static, str>),
    /// The table is missing or not as it has to be; nothing was done.
    Schema,
    /// The connection failed: what was under way may have been done.
    Lost,
}

impl Failure {
    /// Whether the same statement may pass when it is sent again, after it was sent that often.
    pub(crate) const fn may_pass(&self, sent: u32) -> bool {
        match self {
            Self::Again | Self::Renew => sent < ATTEMPTS,
            Self::Locked(_) => sent < 2,
            _ => false,
        }
    }
}

/// The driver's error as it may be shown: the server's code, and its message unless that may quote
/// values.
///
/// `quotes_values` says whether the server's message for this error may repeat what was stored,
/// such as "Duplicate entry '…'". Details, hints and statements are never kept.
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
