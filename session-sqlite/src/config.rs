//! The configuration: the builder, and the config string.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result};
use session_sql::{TableName, Target, duration, number, percent_decode};

use crate::ENGINE;

const EXPECTED: &str = "expected `sqlite:./sessions.db`, `sqlite::memory:` or \
                        `sqlite:///var/lib/app/sessions.db?synchronous=full`";

const NAMES: &str = "table, readers, busy_timeout, synchronous, checkpoint, migrate, mode";

/// The maximum of `busy_timeout`: a request has ended long before.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The database and its settings. Parsed from a string, or built.
///
/// ```
/// use session_sqlite::{SqliteConfig, Synchronous};
///
/// # fn main() -> session_core::Result<()> {
/// let read: SqliteConfig = "sqlite:./sessions.db?synchronous=full".parse()?;
/// let built = SqliteConfig::file("./sessions.db").synchronous(Synchronous::Full);
/// assert_eq!(read, built);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteConfig {
    pub(crate) place: Place,
    pub(crate) table: TableName,
    pub(crate) readers: u32,
    pub(crate) busy_timeout: Duration,
    pub(crate) synchronous: Synchronous,
    pub(crate) auto_checkpoint: bool,
    pub(crate) migrate: bool,
}

/// The location of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    File { path: PathBuf, create: bool },
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// When the operating system has it. It survives a crash of the process; a power loss may undo
    /// the writes and logouts since the last checkpoint, but damages nothing.
    #[default]
    Normal,
    /// When it is on disk: one disk wait per write, or per group of concurrent writes. It survives a
    /// power loss.
    Full,
}

impl SqliteConfig {
    /// Sessions in this file, which is created if it is missing.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::at(Place::File { path: path.as_ref().to_owned(), create: true })
    }

    /// Sessions in the memory of this process, which end with it.
    pub fn memory() -> Self {
        Self::at(Place::Memory)
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            table: TableName::default(),
            readers: 4,
            busy_timeout: Duration::from_secs(1),
            synchronous: Synchronous::default(),
            auto_checkpoint: true,
            migrate: true,
        }
    }

    /// The name of the table; `session` by default.
    ///
    /// [`Config`](session_core::ErrorKind::Config) if it is not a plain name.
    pub fn table(mut self, name: &str) -> Result<Self> {
        self.table = table(name)?;
        Ok(self)
    }

    /// The number of concurrent reads, each on its own connection and thread; 4 by default. Writes
    /// have one more connection. A database in memory has only one for all.
    #[must_use]
    pub const fn readers(mut self, count: u32) -> Self {
        self.readers = if count == 0 { 1 } else { count };
        self
    }

    /// How long a statement waits for other processes' writes before it fails with `Unavailable`,
    /// having changed nothing; 1 s by default, 1 min at most. Keep it below half of the manager's
    /// operation timeout, after which the outcome would be unknown.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(LONGEST_WAIT);
        self
    }

    /// When a write is acknowledged; [`Synchronous::Normal`] by default.
    #[must_use]
    pub const fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Whether this process runs checkpoints, moving the log into the database file after every
    /// thousand pages; on by default. Switch it off if Litestream or your own job runs the
    /// checkpoints: otherwise the log grows forever.
    #[must_use]
    pub const fn auto_checkpoint(mut self, on: bool) -> Self {
        self.auto_checkpoint = on;
        self
    }

    /// Whether connecting creates a missing table; on by default.
    #[must_use]
    pub const fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    fn parse(text: &str) -> Result<Self> {
        let Some(url) = text.strip_prefix("sqlite:") else {
            return match text {
                "" => Err(Error::config("the file is missing")),
                ":memory:" => Ok(Self::memory()),
                _ if text.contains("://") => Err(Error::config("the scheme must be `sqlite:`")),
                _ if text.contains('?') => Err(Error::config("options need the format of a URL")),
                path => Self::at_path(path),
            };
        };
        let (path, options) = url.split_once('?').unwrap_or((url, ""));
        let path = percent_decode(path.strip_prefix("//").unwrap_or(path))?;
        let mut config = if path == ":memory:" { Self::memory() } else { Self::at_path(&path)? };
        let options = Target::parameters(options)?.parameters;
        for (at, (name, value)) in options.iter().enumerate() {
            if options.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(Error::config("an option is given twice"));
            }
            config.set(name, value)?;
        }
        Ok(config)
    }

    fn at_path(path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::config("the file is missing"));
        }
        if path.contains('\0') {
            return Err(Error::config("a path must not contain NUL"));
        }
        Ok(Self::file(path))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "table" => self.table = table(value)?,
            "readers" => {
                self.readers = number("readers", value)?;
                if !(1..=64).contains(&self.readers) {
                    return Err(Error::config("`readers` must be from 1 to 64"));
                }
            }
            "busy_timeout" => {
                self.busy_timeout = duration("busy_timeout", value)?;
                if self.busy_timeout > LONGEST_WAIT {
                    return Err(Error::config("`busy_timeout` must be at most 1m"));
                }
            }
            "synchronous" => {
                self.synchronous = match value {
                    "normal" => Synchronous::Normal,
                    "full" => Synchronous::Full,
                    _ => return Err(Error::config("`synchronous` must be `normal` or `full`")),
                }
            }
            "checkpoint" => {
                self.auto_checkpoint = match value {
                    "auto" => true,
                    "external" => false,
                    _ => return Err(Error::config("`checkpoint` must be `auto` or `external`")),
                }
            }
            "migrate" => {
                self.migrate =
                    value.parse().map_err(|_| Error::config("`migrate` must be `true` or `false`"))?;
            }
            "mode" => match (value, &mut self.place) {
                ("rwc", _) | ("memory", Place::Memory) => {}
                ("rw", Place::File { create, .. }) => *create = false,
                ("ro", _) => {
                    return Err(Error::config(
                        "sessions cannot be stored in a read-only file: `mode` must be `rwc` or `rw`",
                    ));
                }
                _ => {
                    return Err(Error::config("`mode` must be `rwc`, or `rw` for a file that must exist"));
                }
            },
            _ => return Err(Error::config(format!("unknown option; the options are {NAMES}"))),
        }
        Ok(())
    }
}

impl FromStr for SqliteConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.trim())
            .map_err(|error| Error::config(format!("{}; {EXPECTED}", error.message())).in_engine(ENGINE))
    }
}

fn table(name: &str) -> Result<TableName> {
    let table: TableName = name.parse()?;
    if table.schema().is_some() {
        return Err(Error::config("`table` must be a name without a schema: SQLite has no schemas"));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn the_config_string_is_a_path_or_a_url() {
        let file = SqliteConfig::file;
        let must_exist = |path: &str| SqliteConfig::at(Place::File { path: path.into(), create: false });
        for (text, expected) in [
            ("./sessions.db", file("./sessions.db")),
            ("/var/lib/a b.db", file("/var/lib/a b.db")),
            (":memory:", SqliteConfig::memory()),
            ("sqlite:sessions.db", file("sessions.db")),
            ("sqlite:./sessions.db", file("./sessions.db")),
            ("sqlite://sessions.db", file("sessions.db")),
            ("sqlite:///var/lib/a%20b%3F.db", file("/var/lib/a b?.db")),
            ("sqlite::memory:", SqliteConfig::memory()),
            ("sqlite://:memory:?mode=memory", SqliteConfig::memory()),
            ("sqlite:a.db?mode=rwc", file("a.db")),
            ("sqlite:a.db?mode=rw", must_exist("a.db")),
            ("sqlite:a.db?synchronous=full", file("a.db").synchronous(Synchronous::Full)),
            ("sqlite:a.db?synchronous=normal&checkpoint=external", file("a.db").auto_checkpoint(false)),
            ("sqlite:a.db?readers=8&busy_timeout=500ms", {
                file("a.db").readers(8).busy_timeout(Duration::from_millis(500))
            }),
            ("sqlite:a.db?table=web_session&migrate=false", {
                file("a.db").table("web_session").unwrap().migrate(false)
            }),
        ] {
            assert_eq!(text.parse::<SqliteConfig>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn any_other_config_string_is_an_error_that_shows_the_form_and_repeats_nothing() {
        for bad in [
            "",
            "sqlite:",
            "sqlite://",
            "postgres://ada:hunter2@db/web",
            "./hunter2.db?synchronous=full",
            "a\0b",
            "sqlite:hunter2.db?mode=ro",
            "sqlite:hunter2.db?mode=memory",
            "sqlite::memory:?mode=rw",
            "sqlite:hunter2.db?cache=shared",
            "sqlite:hunter2.db?hunter2",
            "sqlite:hunter2.db?synchronous=off",
            "sqlite:hunter2.db?synchronous=full&synchronous=normal",
            "sqlite:hunter2.db?checkpoint=never",
            "sqlite:hunter2.db?readers=0",
            "sqlite:hunter2.db?readers=65",
            "sqlite:hunter2.db?busy_timeout=soon",
            "sqlite:hunter2.db?busy_timeout=2m",
            "sqlite:hunter2.db?migrate=yes",
            "sqlite:hunter2.db?table=main.session",
            "sqlite:hunter2.db?table=session;drop%20table%20session",
            "sqlite:hunter2%2.db",
            "sqlite:hunter2%zz.db",
            "sqlite:hunter2%00.db",
            "sqlite:%ff.db",
        ] {
            let error = bad.parse::<SqliteConfig>().unwrap_err();
            assert_eq!((error.kind(), error.engine()), (ErrorKind::Config, Some(ENGINE)), "{bad}");
            assert!(error.message().contains("sqlite:./sessions.db"), "{bad}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{bad}: {error}");
        }
    }
}
