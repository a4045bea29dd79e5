//! The failure of a command: one line for people, and an exit code for scripts.

use std::error::Error as _;
use std::fmt;

use session_kit::{Error, ErrorKind};

pub type Result<T> = std::result::Result<T, Failure>;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Unsupported = 4,
    Unavailable = 5,
}

#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error for an unsupported command.
    pub fn unsupported(engine: &str, why: &str) -> Self {
        Self::new(Code::Unsupported, format!("the engine `{engine}` {why}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Config => Code::Usage,
            ErrorKind::Unavailable | ErrorKind::OutcomeUnknown => Code::Unavailable,
            _ => Code::Failed,
        };
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self { code, message: message.replace('\n', " ") }
    }
}
