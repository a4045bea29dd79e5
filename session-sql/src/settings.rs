//! The settings that both engines accept in addition to the server's own.

use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result};

use crate::TableName;

/// Settings of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `table`: where the sessions are stored.
    pub table: TableName,
    /// `max_connections`: how many statements run at once; 16 by default.
    pub max_connections: u32,
    /// `connect_timeout`: how long opening a connection may take; 5 s by default.
    pub connect_timeout: Duration,
    /// `lock_timeout`: how long a statement waits for a row that another holds, before it is
    /// retried once; 2 s by default. Set on every connection, so that a cancelled call also ends on
    /// the server.
    pub lock_timeout: Duration,
    /// `statement_timeout`: how long a statement may take; 10 s by default. Set on every
    /// connection.
    pub statement_timeout: Duration,
    /// `migrate`: the treatment of the table when connecting.
    pub migrate: Migrate,
}

/// The treatment of the table when connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migrate {
    /// `false`: nothing.
    #[default]
    No,
    /// `check`: compares it with the expected table, and fails on a difference.
    Check,
    /// `true`: creates or updates it, which needs more rights than normal operation.
    Yes,
}

impl From<bool> for Migrate {
    fn from(migrate: bool) -> Self {
        if migrate { Self::Yes } else { Self::No }
    }
}

/// Other names of `max_connections`, from other clients' pools.
const LIMITS: [&str; 5] =
    ["connection_limit", "pool_size", "max_pool_size", "pool_max_conns", "maximumPoolSize"];

/// Unsupported settings of other clients' pools, with the reason.
const POOLS: [&str; 12] = [
    "pool_min_conns",
    "pool_max_conn_lifetime",
    "pool_max_conn_idle_time",
    "pool_timeout",
    "pool_recycle",
    "max_overflow",
    "max_idle_connections",
    "max_idle_conns",
    "max_lifetime",
    "idle_timeout",
    "min_pool_size",
    "minimumIdle",
];

impl Settings {
    /// Their names, for messages.
    pub const NAMES: &str =
        "table, max_connections, connect_timeout, lock_timeout, statement_timeout, migrate";

    /// Sets one option of a config string. Returns `false` if it is unknown.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "table" => self.table = value.parse()?,
            name if name == "max_connections" || LIMITS.contains(&name) => {
                self.max_connections = number("max_connections", value)?;
                if self.max_connections == 0 {
                    return Err(Error::config(
                        "`max_connections` must be at least 1: an unlimited pool is not supported",
                    ));
                }
            }
            "connect_timeout" => self.connect_timeout = duration("connect_timeout", value)?,
            "lock_timeout" => self.lock_timeout = duration("lock_timeout", value)?,
            "statement_timeout" => self.statement_timeout = duration("statement_timeout", value)?,
            "migrate" if value == "check" => self.migrate = Migrate::Check,
            "migrate" => self.migrate = boolean(value)?.into(),
            name if POOLS.contains(&name) => {
                return Err(Error::config(format!(
                    "`{name}` is not supported, remove it: connections are opened when they are needed, closed \
                     after 10 min without use and replaced after 30 min"
                )));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: TableName::default(),
            max_connections: 16,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
            migrate: Migrate::No,
        }
    }
}

/// A whole number.
pub fn number<T: FromStr>(name: &'static str, value: &str) -> Result<T> {
    value.parse().map_err(|_| Error::config(format!("`{name}` must be a whole number")))
}

fn boolean(value: &str) -> Result<bool> {
    value.parse().map_err(|_| Error::config("`migrate` must be `true`, `false` or `check`"))
}

/// A file that exists.
pub fn file<'a>(name: &'static str, path: &'a str) -> Result<&'a str> {
    if std::path::Path::new(path).is_file() {
        return Ok(path);
    }
    Err(Error::config(format!("`{name}` must be the path of a PEM file, but there is no such file")))
}

/// A duration: `5` and `5s` are seconds; `500ms` and `2m` are also accepted.
pub fn duration(name: &'static str, value: &str) -> Result<Duration> {
    let digits = value.len() - value.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let (count, unit) = value.split_at(digits);
    let milliseconds = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    count
        .parse::<u64>()
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))
        .zip(milliseconds)
        .map(|(count, unit)| Duration::from_millis(count * unit))
        .ok_or_else(|| Error::config(format!("`{name}` must be a length of time such as 5s, 500ms or 1m")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_go_and_libpq_write_them() {
        let of = |text| duration("timeout", text).ok().map(|time| time.as_millis());
        assert_eq!(["5", "5s", "500ms", "2m"].map(of), [Some(5_000), Some(5_000), Some(500), Some(120_000)]);
        for bad in ["", "s", "0", "-1s", "1h", "5 s", "1.5s", "99999999999999999999s", "1000001"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_setting_that_is_wrong_says_what_it_must_be() {
        let wrong = |name, value| Settings::default().set(name, value).unwrap_err().message().to_owned();
        assert!(wrong("max_connections", "0").contains("at least 1"));
        assert!(wrong("max_connections", "many").contains("a whole number"));
        assert!(wrong("migrate", "yes").contains("`true`, `false` or `check`"));
        assert!(wrong("max_idle_conns", "-1").contains("`max_idle_conns` is not supported"));
        assert!(!Settings::default().set("sslmode", "require").unwrap());
    }
}
