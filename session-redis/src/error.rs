//! Converts errors of the server and the driver: to a kind, and a message that says what to do.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind as Driver, RedisError, ServerError};
use session_core::{Error, ErrorKind};
use tokio::task::JoinError;

/// The message after a timeout while connecting.
pub(crate) const NO_ANSWER: &str =
    "the server did not answer in time while connecting: is it up, and do both sides speak TLS, or neither?";

/// The reason why a command returned no value. The variant decides whether a write may have been
/// applied.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// There was no connection to send it on, or an earlier answer showed that it changes nothing.
    NotSent(Fault),
    /// The server refused the command. It has changed nothing.
    Refused(ServerError),
    /// The command was sent, as far as is known, and its answer is lost.
    Lost(Fault),
}

impl Failure {
    /// Returns the fault, regardless of the command.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::NotSent(fault) | Self::Lost(fault) => fault,
            Self::Refused(error) => Fault::answered(&error),
        }
    }

    /// Converts it to the error of a command that changes nothing.
    pub fn of_read(self) -> Error {
        self.into_fault().into_error()
    }

    /// Converts it to the error of a command that may have changed a record. After an unknown
    /// refusal, for example from a proxy, it is open what the server has done.
    pub fn of_write(self) -> Error {
        let is_known =
            |error: &ServerError| meaning(error.code(), error.details().unwrap_or_default()).is_some();
        match self {
            Self::Lost(fault) => fault.into_unknown_outcome(),
            Self::Refused(error) if !is_known(&error) => Fault::answered(&error).into_unknown_outcome(),
            other => other.of_read(),
        }
    }

    /// Returns the code of the server's refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(error.code()),
            _ => None,
        }
    }
}

/// An error that can be cloned for all callers that waited for the same attempt.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub kind: ErrorKind,
    message: Cow<'static, str>,
    /// The message of the driver or the server, without the data that was sent.
    detail: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{} ({detail})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Fault {
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), detail: None }
    }

    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Converts one of our own errors. Its source is dropped, because its text is unknown.
    pub fn of_error(error: Error) -> Self {
        Self::new(error.kind(), error.message().to_owned())
    }

    /// Returns the result of a task; a runtime that shuts down ends it early.
    pub fn of_task<T>(joined: Result<Result<T, Self>, JoinError>) -> Result<T, Self> {
        joined.unwrap_or_else(|_| Err(Self::unavailable("the runtime is shutting down")))
    }

    /// Names the server in the message, which a caller sees without the event of the attempt.
    pub fn of_server(self, server: &dyn fmt::Display) -> Self {
        Self { message: format!("{server}: {}", self.message).into(), ..self }
    }

    pub fn into_error(self) -> Error {
        let error = Error::new(self.kind, self.message);
        match self.detail {
            Some(detail) => error.with_source(detail),
            None => error,
        }
    }

    fn into_unknown_outcome(self) -> Error {
        Self { kind: ErrorKind::OutcomeUnknown, ..self }.into_error()
    }

    /// Converts a refusal of the server.
    pub fn answered(error: &ServerError) -> Self {
        let (code, details) = (error.code(), error.details().unwrap_or_default());
        let (kind, message) = meaning(code, details).unwrap_or(UNKNOWN);
        let detail = format!("{code} {}", harmless(details)).trim_end().to_owned();
        Self { kind, message: message.into(), detail: Some(detail) }
    }

    /// Converts the error of a failed connection attempt.
    pub fn connecting(error: &RedisError) -> Self {
        if let Ok(error) = ServerError::try_from(error.clone()) {
            return Self::answered(&error);
        }
        let (kind, message) = match error.kind() {
            Driver::Server(_) => {
                meaning(error.code().unwrap_or_default(), error.detail().unwrap_or_default())
                    .unwrap_or(UNKNOWN)
            }
            Driver::AuthenticationFailed => WRONG_LOGIN,
            Driver::Parse | Driver::UnexpectedReturnType => {
                (ErrorKind::Config, "the peer does not speak the Redis protocol: is it the right port?")
            }
            Driver::RESP3NotSupported => TOO_OLD,
            Driver::InvalidClientConfig => (ErrorKind::Config, "the driver cannot use this configuration"),
            Driver::Io if error.is_timeout() => (ErrorKind::Unavailable, NO_ANSWER),
            _ => match io_kind(error) {
                Some(io::ErrorKind::InvalidData) => (
                    ErrorKind::Config,
                    "no TLS with this server: does it speak TLS, do we trust its certificate (`ca`), and is \
                     its name right (`tls_server_name`)?",
                ),
                Some(
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::BrokenPipe,
                ) => (ErrorKind::Unavailable, CLOSED),
                _ => (ErrorKind::Unavailable, "the server cannot be reached"),
            },
        };
        let detail = (error.kind() != Driver::Parse).then(|| harmless(&error.to_string()));
        Self { kind, message: message.into(), detail }
    }

    /// Converts the error of a connection that broke, or of a server that did not answer, after a
    /// command was sent.
    pub fn lost(error: &RedisError) -> Self {
        let message = match error.kind() {
            Driver::Io if error.is_timeout() => "the server did not answer in time",
            Driver::Parse => "the answer is not in the Redis protocol",
            _ => "the connection broke before the answer",
        };
        // A parser's message may quote its input.
        let detail = (error.kind() != Driver::Parse).then(|| error.to_string());
        Self { detail, ..Self::unavailable(message) }
    }
}

/// Returns the kind of the I/O error behind an error of the driver, which keeps it in an `Arc`.
fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    let shared = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// Removes keys and arguments from a server's message: of quoted texts only names of commands stay.
fn harmless(details: &str) -> String {
    // "unknown command" repeats the arguments, and those are ids and records.
    let details = details.split(", with args").next().unwrap_or_default();
    let is_command = |text: &str| {
        text.len() <= 24 && text.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '|' | '-' | '_'))
    };
    let parts = details
        .split('\'')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 || is_command(part) { part } else { "…" });
    parts.collect::<Vec<_>>().join("'")
}

const UNKNOWN: (ErrorKind, &str) = (ErrorKind::Unavailable, "the server refused");
const WRONG_LOGIN: (ErrorKind, &str) = (ErrorKind::Config, "the server rejected the user or password");
const CLOSED: &str =
    "the server closed the connection before it answered: do both sides speak TLS, or neither?";
const MISSING_RIGHT: (ErrorKind, &str) =
    (ErrorKind::Config, "the user lacks a permission: docs/redis.md lists the required ones");
const TOO_OLD: (ErrorKind, &str) =
    (ErrorKind::Config, "the server is too old, or not Redis: Redis 6.2 or later, or any Valkey, is needed");

/// Returns the meaning of a known error code. After each of these the server has changed nothing.
fn meaning(code: &str, details: &str) -> Option<(ErrorKind, &'static str)> {
    let says = |text: &str| details.contains(text);
    let of_script = || details.to_ascii_lowercase().contains("'eval");
    Some(match code {
        "WRONGTYPE" => (
            ErrorKind::Corrupt,
            "a key of another type has the name of the session: give sessions their own `prefix`",
        ),
        "OOM" => (
            ErrorKind::Full,
            "the server has reached its `maxmemory` and evicts nothing: docs/redis.md says which \
             policy to choose",
        ),
        "WRONGPASS" => WRONG_LOGIN,
        "NOAUTH" => (ErrorKind::Config, "the server needs a login, and none is configured: set the password"),
        "NOPERM" if of_script() => (
            ErrorKind::Config,
            "the user may not run scripts, which compare and write in one step: allow `+eval +evalsha`",
        ),
        "NOPERM" => MISSING_RIGHT,
        // The driver drops the code of a refused `SELECT`.
        "ERR" if says("can't run this command") || says("no permissions to run") => MISSING_RIGHT,
        "MOVED" | "ASK" => {
            (ErrorKind::Config, "the server is a node of a cluster: use `redis_cluster` or redis+cluster://")
        }
        "READONLY" => (ErrorKind::Unavailable, "the server is a replica, which accepts no writes"),
        "LOADING" => (ErrorKind::Unavailable, "the server is still loading its data"),
        "BUSY" => (ErrorKind::Unavailable, "the server is busy with a script that does not end"),
        "NOREPLICAS" => {
            (ErrorKind::Unavailable, "the server has fewer replicas than it needs to accept writes")
        }
        "MISCONF" => (ErrorKind::Unavailable, "the server cannot save its data and accepts no writes"),
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Unavailable, "the cluster cannot answer for this key at the moment")
        }
        "ERR" if says("DB index") || says("SELECT is not allowed") => {
            (ErrorKind::Config, "the server has no database with this number: change `db`")
        }
        "ERR" if says("unknown command") && of_script() => (
            ErrorKind::Config,
            "the server has no `EVAL` (renamed, or switched off): scripts compare and write in one step",
        ),
        "ERR" if says("unknown command") || says("syntax error") => TOO_OLD,
        "ERR" if says("cluster support disabled") => {
            (ErrorKind::Config, "the server is not a node of a cluster: use `redis` or redis://")
        }
        "ERR" if says("invalid bulk length") || says("exceeds maximum allowed size") => {
            (ErrorKind::TooLarge, "the record is larger than the server accepts (`proto-max-bulk-len`)")
        }
        "ERR" if says("no such key") => {
            (ErrorKind::Unavailable, "the record was evicted before it was renamed")
        }
        "ERR" if says("max number of clients") => {
            (ErrorKind::Unavailable, "the server has reached its maximum number of clients")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a refusal as a server sends it.
    fn refused(line: &str) -> Failure {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        let redis::Value::ServerError(error) = value else { panic!("{value:?} is no error") };
        Failure::Refused(error)
    }

    #[test]
    fn every_refusal_has_its_kind() {
        for (line, kind) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::Corrupt),
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Full),
            ("NOAUTH Authentication required.", ErrorKind::Config),
            ("WRONGPASS invalid username-password pair or user is disabled.", ErrorKind::Config),
            ("NOPERM User app has no permissions to run the 'getex' command", ErrorKind::Config),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Config),
            ("ERR DB index is out of range", ErrorKind::Config),
            ("ERR SELECT is not allowed in cluster mode", ErrorKind::Config),
            ("ERR syntax error", ErrorKind::Config),
            ("ERR This instance has cluster support disabled", ErrorKind::Config),
            ("ERR Protocol error: invalid bulk length", ErrorKind::TooLarge),
            ("ERR string exceeds maximum allowed size (proto-max-bulk-len)", ErrorKind::TooLarge),
            ("ERR no such key script: 1f, on @user_script:3.", ErrorKind::Unavailable),
            ("ERR max number of clients reached", ErrorKind::Unavailable),
            ("READONLY You can't write against a read only replica.", ErrorKind::Unavailable),
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unavailable),
            ("BUSY Redis is busy running a script.", ErrorKind::Unavailable),
            ("NOREPLICAS Not enough good replicas to write.", ErrorKind::Unavailable),
            ("MISCONF Redis is configured to save RDB snapshots, but", ErrorKind::Unavailable),
            ("CLUSTERDOWN The cluster is down", ErrorKind::Unavailable),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Unavailable),
            ("TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::Unavailable),
        ] {
            assert_eq!(refused(line).of_write().kind(), kind, "{line}");
            assert_eq!(refused(line).of_read().kind(), kind, "{line}");
        }
    }

    #[test]
    fn an_unknown_refusal_leaves_the_outcome_of_a_write_unknown() {
        for line in ["SOMETHING new", "ERR Connection timed out", "upstream failure"] {
            assert_eq!(refused(line).of_write().kind(), ErrorKind::OutcomeUnknown, "{line}");
            assert_eq!(refused(line).of_read().kind(), ErrorKind::Unavailable, "{line}");
        }
    }

    #[test]
    fn refused_scripts_are_named() {
        for line in [
            "NOPERM User app has no permissions to run the 'evalsha' command",
            "NOPERM this user has no permissions to run the 'eval' command or its subcommand",
            "ERR unknown command 'EVAL', with args beginning with: 'return 1' '1' ",
        ] {
            let error = refused(line).of_write();
            assert!(error.kind() == ErrorKind::Config && error.to_string().contains("scripts"), "{error}");
        }
    }

    #[test]
    fn an_error_contains_no_data_that_was_sent() {
        let line = "ERR unknown command 'GETEX', with args beginning with: 'session:c0ffee' 'PX' '60000' ";
        let error = refused(line).of_read();
        assert!(!format!("{error:?} {error}").contains("c0ffee"), "{error:?}");
        assert!(format!("{error:?}").contains("unknown command 'GETEX'"));
        for line in [
            "NOPERM User app has no permissions to access the 'session:c0ffee' key",
            "ERR something about 'c0ffeec0ffee' and 'c0ffee'",
        ] {
            let error = refused(line).of_write();
            assert!(!format!("{error:?} {error}").contains("c0ffee"), "{error:?}");
        }
    }

    #[test]
    fn only_a_write_whose_answer_is_lost_has_an_unknown_outcome() {
        let fault = || Fault::lost(&RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset)));
        assert_eq!(Failure::Lost(fault()).of_write().kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(Failure::Lost(fault()).of_read().kind(), ErrorKind::Unavailable);
        assert_eq!(Failure::NotSent(fault()).of_write().kind(), ErrorKind::Unavailable);
    }
}
