//! The one error type of the workspace: what went wrong, where, and what to change.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// A result whose error is [`Error`] unless said otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`]; branch on this, not on the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine could not be reached, or did not answer within the deadline. Nothing was changed.
    Unavailable,
    /// Another request changed the same session, and merging did not succeed within the deadline,
    /// or the other request took the value that this one wanted to take. Nothing was changed.
    Conflict,
    /// The answer to a write was lost: it was applied once or not at all.
    OutcomeUnknown,
    /// The session's idle or absolute deadline has passed. Nothing was written.
    Expired,
    /// The session was destroyed, or its id replaced, while this request worked on it. Nothing was
    /// written.
    Gone,
    /// A stored record cannot be read: damaged, or not written by this library.
    Corrupt,
    /// A stored record was written by a newer version of this library, and is left as it is; or
    /// the engine or its server does not have the ability that is asked for.
    Unsupported,
    /// A value could not be encoded, or a stored value does not have the requested type.
    Codec,
    /// A session is larger than the engine or the configuration allows. The stored record is kept.
    TooLarge,
    /// The session was already released in this request; the change was too late to be stored.
    Released,
    /// The user has as many sessions as
    /// [`max_sessions_per_owner`](crate::ManagerBuilder::max_sessions_per_owner) allows. The
    /// sign-in was not stored.
    TooManySessions,
    /// A bounded store has reached its maximum number of sessions.
    Full,
    /// A configuration is invalid; the message says what to change.
    Config,
}

impl ErrorKind {
    /// Returns the HTTP status with which an adapter responds when a session could not be stored:
    /// 409 when the session has ended or lost a conflict, 503 when a retry may help, 413 or 500.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Conflict | Self::Expired | Self::Gone | Self::TooManySessions => 409,
            Self::Unavailable | Self::OutcomeUnknown | Self::Unsupported | Self::Full => 503,
            Self::TooLarge => 413,
            Self::Corrupt | Self::Codec | Self::Released | Self::Config => 500,
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Unavailable => "the engine is unavailable",
            Self::Conflict => "conflict with another request",
            Self::OutcomeUnknown => "the outcome of a write is unknown",
            Self::Expired => "the session has expired",
            Self::Gone => "the session has ended",
            Self::Corrupt => "the stored record is unreadable",
            Self::Unsupported => "not supported",
            Self::TooManySessions => "too many sessions",
            Self::Codec => "a value could not be encoded or decoded",
            Self::TooLarge => "the session is too large",
            Self::Released => "the session was already released",
            Self::Full => "the store is full",
            Self::Config => "the configuration cannot be used",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// A failure of a session, an engine or a configuration.
///
/// It prints as one line, never contains a session id or a secret, and keeps the driver's error as
/// [`source`](StdError::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Option<&'static str>,
    engine: Option<&'static str>,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of this kind; `message` says what was expected and what to change, and may
    /// be empty.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, operation: None, engine: None, message: message.into(), source: None }))
    }

    /// Creates an error of the kind [`ErrorKind::Config`].
    #[must_use]
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Sets the operation that failed, unless it is already set.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Sets the engine that failed, unless it is already set.
    #[must_use]
    pub fn in_engine(mut self, engine: &'static str) -> Self {
        self.0.engine.get_or_insert(engine);
        self
    }

    /// Sets the error that caused this one. It must not print an id or a secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed, if known.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the engine that failed, if known.
    pub fn engine(&self) -> Option<&'static str> {
        self.0.engine
    }

    /// Returns the explanation, without the kind; may be empty.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        match (inner.engine, inner.operation) {
            (Some(engine), Some(operation)) => write!(f, "{engine} {operation}: ")?,
            (Some(place), None) | (None, Some(place)) => write!(f, "{place}: ")?,
            (None, None) => {}
        }
        write!(f, "{}", inner.kind)?;
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("engine", &inner.engine)
            .field("message", &inner.message)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_why_and_keeps_its_source() {
        let error = Error::new(ErrorKind::Unavailable, "no answer within 5 s")
            .in_engine("redis")
            .during("read")
            .with_source(std::io::Error::other("connection refused"));
        assert_eq!(error.to_string(), "redis read: the engine is unavailable: no answer within 5 s");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("connection refused"));
        assert_eq!(error.kind().http_status(), 503);
    }

    #[test]
    fn a_missing_ability_is_not_reported_as_a_record() {
        let error =
            Error::new(ErrorKind::Unsupported, "notices need RESP3").in_engine("redis").during("listen");
        assert_eq!(error.to_string(), "redis listen: not supported: notices need RESP3");
    }
}
