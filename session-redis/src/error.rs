//! What the server or the driver said, as an error of ours: its kind, and what to do about it.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind as Driver, RedisError, ServerError};
use session_core::{Error, ErrorKind};
use tokio::task::JoinError;

/// What connecting says when its time is over.
pub(crate) const NO_ANSWER: &str =
    "the server did not answer in time while connecting: is it up, and do both sides speak TLS, or neither?";

/// Why a command brought no value. Which of the three it is decides whether a write may have been applied.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// There was no connection to send it on.
    NotSent(Fault),
    /// The server answered that it will not. It has changed nothing.
    Refused(ServerError),
    /// It was sent, as far as we know, and its answer is lost.
    Lost(Fault),
}

impl Failure {
    /// What went wrong, whatever was sent.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::NotSent(fault) | Self::Lost(fault) => fault,
            Self::Refused(error) => Fault::answered(&error),
        }
    }

    /// As an error of something that changes nothing.
    pub fn of_read(self) -> Error {
        self.into_fault().into_error()
    }

    /// As an error of something that may have changed what is stored. A refusal that no server is
    /// known to give, as proxies have them, leaves open what the server has done.
    pub fn of_write(self) -> Error {
        let is_known =
            |error: &ServerError| meaning(error.code(), error.details().unwrap_or_default()).is_some();
        match self {
            Self::Lost(fault) => fault.into_unknown_outcome(),
            Self::Refused(error) if !is_known(&error) => Fault::answered(&error).into_unknown_outcome(),
            other => other.of_read(),
        }
    }

    /// The code of the server's refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(error.code()),
            _ => None,
        }
    }
}

/// An error that can be given to everybody who waited for the same thing.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub kind: ErrorKind,
    message: Cow<'static, str>,
    /// What the driver or the server said, without what we had sent.
    said: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Some(said) => write!(f, "{} ({said})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Fault {
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), said: None }
    }

    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An error that is one of ours already. Its source stays out: nothing is known of what it
    /// says.
    pub fn of_error(error: Error) -> Self {
        Self::new(error.kind(), error.message().to_owned())
    }

    /// What came of a task of ours, which a runtime that shuts down ends early.
    pub fn of_task<T>(joined: Result<Result<T, Self>, JoinError>) -> Result<T, Self> {
        joined.unwrap_or_else(|_| Err(Self::unavailable("the runtime is shutting down")))
    }

    pub fn into_error(self) -> Error {
        let error = Error::new(self.kind, self.message);
        match self.said {
            Some(said) => error.with_source(said),
            None => error,
        }
    }

    fn into_unknown_outcome(self) -> Error {
        Self { kind: ErrorKind::OutcomeUnknown, ..self }.into_error()
    }

    /// A refusal of the server.
    pub fn answered(error: &ServerError) -> Self {
        let (code, details) = (error.code(), error.details().unwrap_or_default());
        let (kind, message) = meaning(code, details).unwrap_or(UNKNOWN);
        let said = format!("{code} {}", harmless(details)).trim_end().to_owned();
        Self { kind, message: message.into(), said: Some(said) }
    }

    /// A connection that was not made.
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
            Driver::Parse | Driver::UnexpectedReturnType => (
                ErrorKind::Config,
                "what answers there does not speak Redis' protocol: is it the right port?",
            ),
            Driver::RESP3NotSupported => TOO_OLD,
            Driver::InvalidClientConfig => (ErrorKind::Config, "the driver cannot use this configuration"),
            Driver::Io if error.is_timeout() => (ErrorKind::Unavailable, NO_ANSWER),
            _ => match io_kind(error) {
                Some(io::ErrorKind::InvalidData) => (
                    ErrorKind::Config,
                    "no TLS with this server: does it speak TLS, and is its certificate one that we trust (`ca`)?",
                ),
                _ => (ErrorKind::Unavailable, "the server cannot be reached"),
            },
        };
        let said = (error.kind() != Driver::Parse).then(|| harmless(&error.to_string()));
        Self { kind, message: message.into(), said }
    }

    /// A connection that broke, or a server that did not answer, after a command was sent.
    pub fn lost(error: &RedisError) -> Self {
        let message = match error.kind() {
            Driver::Io if error.is_timeout() => "the server did not answer in time",
            Driver::Parse => "the answer was not Redis' protocol",
            _ => "the connection broke before the answer",
        };
        // A parser's message may quote what it stumbled over.
        let said = (error.kind() != Driver::Parse).then(|| error.to_string());
        Self { said, ..Self::unavailable(message) }
    }
}

/// The kind of the input/output error behind an error of the driver, which keeps it in an `Arc`.
fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    let shared = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// What a server said, without the keys and arguments that it repeats: of what it quotes only names
/// of commands stay.
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
const WRONG_LOGIN: (ErrorKind, &str) = (ErrorKind::Config, "the server wants another user or password");
const MISSING_RIGHT: (ErrorKind, &str) =
    (ErrorKind::Config, "the user may not do that: docs/redis.md lists the rights that are needed");
const TOO_OLD: (ErrorKind, &str) =
    (ErrorKind::Config, "the server is too old, or no Redis: 6.2 is needed, or any Valkey");

/// What a server means by a code. Each of these means that it has changed nothing.
fn meaning(code: &str, details: &str) -> Option<(ErrorKind, &'static str)> {
    let says = |text: &str| details.contains(text);
    let of_script = || details.to_ascii_lowercase().contains("'eval");
    Some(match code {
        "WRONGTYPE" => (
            ErrorKind::Corrupt,
            "a key of another type lies where the session would: give sessions a `prefix` of their own",
        ),
        "OOM" => (
            ErrorKind::Full,
            "the server is at its `maxmemory` and evicts nothing: docs/redis.md says which policy to choose",
        ),
        "WRONGPASS" | "NOAUTH" => WRONG_LOGIN,
        "NOPERM" if of_script() => (
            ErrorKind::Config,
            "the user may not run scripts, which compare and write in one step: allow `+eval +evalsha`",
        ),
        "NOPERM" => MISSING_RIGHT,
        "ERR" if says("can't run this command") => MISSING_RIGHT,
        "MOVED" | "ASK" => {
            (ErrorKind::Config, "the server is a node of a cluster: use `redis_cluster` or redis+cluster://")
        }
        "READONLY" => (ErrorKind::Unavailable, "the server is a replica, which takes no writes"),
        "LOADING" => (ErrorKind::Unavailable, "the server is still loading its data"),
        "BUSY" => (ErrorKind::Unavailable, "the server is busy with a script that does not end"),
        "NOREPLICAS" => {
            (ErrorKind::Unavailable, "the server has fewer replicas than it must have to take writes")
        }
        "MISCONF" => (ErrorKind::Unavailable, "the server cannot save its data and takes no writes"),
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Unavailable, "the cluster cannot answer for this key at the moment")
        }
        "ERR" if says("DB index") || says("SELECT is not allowed") => {
            (ErrorKind::Config, "the server has no database of that number: change `db`")
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
            (ErrorKind::TooLarge, "the record is larger than the server takes (`proto-max-bulk-len`)")
        }
        "ERR" if says("no such key") => {
            (ErrorKind::Unavailable, "the record was evicted before it was in its place")
        }
        "ERR" if says("max number of clients") => {
            (ErrorKind::Unavailable, "the server has as many clients as it may")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server sends it.
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
    fn a_refusal_that_is_not_known_leaves_a_write_open() {
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
    fn an_error_repeats_nothing_that_was_sent() {
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
    fn only_a_write_whose_answer_is_lost_is_of_unknown_outcome() {
        let fault = || Fault::lost(&RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset)));
        assert_eq!(Failure::Lost(fault()).of_write().kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(Failure::Lost(fault()).of_read().kind(), ErrorKind::Unavailable);
        assert_eq!(Failure::NotSent(fault()).of_write().kind(), ErrorKind::Unavailable);
    }
}
