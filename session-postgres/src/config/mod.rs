//! The config string: a URL, or libpq's `name=value` list. Both contain the address of the server
//! and the settings.

mod parameters;
#[cfg(test)]
mod providers;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Error, Result};
use session_sql::{Credentials, Migrate, Place, Settings, Target};
use sqlx::postgres::PgConnectOptions;

use crate::failure::ENGINE;

const EXPECTED: &str = "expected postgres://user:***@host:5432/database?sslmode=verify-full or \
                        host=… port=5432 user=… password=*** dbname=… sslmode=verify-full";

/// The address of the server, and the settings of the engine. Parsed from a string, or built from
/// [`PgConnectOptions`].
///
/// ```
/// use session_postgres::PostgresConfig;
///
/// # fn main() -> session_core::Result<()> {
/// let url: PostgresConfig = "postgres://web:secret@db.example/web?sslmode=verify-full&table=web_session".parse()?;
/// let list: PostgresConfig = "host=/run/postgresql dbname=web max_connections=32".parse()?;
/// # let _ = (url, list);
/// # Ok(())
/// # }
/// ```
///
/// Missing parts of the string come from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`,
/// `PGSSLMODE`, `PGSSLROOTCERT`, `PGAPPNAME` and `PGOPTIONS`, as in every PostgreSQL client.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(crate) options: PgConnectOptions,
    /// The addresses to try in order; empty for the one in `options`.
    pub(crate) addresses: Vec<Place>,
    /// The server settings `-c name=value` of `options`.
    pub(crate) server_options: Vec<(String, String)>,
    /// Statements are never prepared, as a pooler may require.
    pub(crate) unprepared: bool,
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
    /// Writes notify the listeners of other processes.
    pub(crate) notices: bool,
    pub(crate) settings: Settings,
}

impl PostgresConfig {
    /// Uses these connection options, the table `session` and 16 connections.
    pub fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            addresses: Vec::new(),
            server_options: Vec::new(),
            unprepared: false,
            credentials: None,
            notices: false,
            settings: Settings::default(),
        }
    }

    /// Sets the table of the sessions: `name` or `schema.name`, case-sensitive.
    pub fn table(mut self, name: &str) -> Result<Self> {
        self.settings.table = name.parse()?;
        Ok(self)
    }

    /// Sets the maximum number of connections; 16 by default. Further concurrent statements wait
    /// for their turn.
    #[must_use]
    pub fn max_connections(mut self, count: u32) -> Self {
        self.settings.max_connections = count.max(1);
        self
    }

    /// Sets the timeout for opening a connection; 5 s by default.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets how long a statement waits for a locked row before it is sent once more; 2 s by
    /// default. Keep it below the manager's operation timeout, so that the server's answer arrives
    /// in time.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.settings.lock_timeout = timeout;
        self
    }

    /// Sets how long a statement may take on the server; 10 s by default.
    #[must_use]
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.settings.statement_timeout = timeout;
        self
    }

    /// Sets what connecting does with the table; nothing by default. `true` creates it or brings it
    /// up to date.
    #[must_use]
    pub fn migrate(mut self, migrate: impl Into<Migrate>) -> Self {
        self.settings.migrate = migrate.into();
        self
    }

    /// Sets the source of user and password for each new connection: for tokens that expire and
    /// passwords that are rotated. A closure that returns a future is enough.
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Sets whether every change of a stored session notifies the caches of other processes
    /// (`notices=true` in a string), with a `NOTIFY` in the same statement, so without another
    /// round trip. Off by default, because the server serializes commits that notify. Enable it in
    /// every process that writes to the table.
    ///
    /// A cache over this engine listens on a separate connection. Behind a pooler that is not
    /// possible, and connecting fails with [`Config`](session_core::ErrorKind::Config).
    #[must_use]
    pub const fn notices(mut self, notices: bool) -> Self {
        self.notices = notices;
        self
    }

    fn empty() -> Self {
        Self::new(PgConnectOptions::new_without_pgpass())
    }

    fn from_url(rest: &str) -> Result<Self> {
        let target = Target::parse(rest)?;
        let mut parameters = parameters::Parameters::new(Self::empty());
        for (name, value) in [("user", &target.user), ("dbname", &target.database)] {
            if let Some(value) = value {
                parameters.set(name, value)?;
            }
        }
        if let Some(password) = &target.password {
            parameters.set("password", password.expose())?;
        }
        for (name, value) in &target.parameters {
            parameters.set(name, value)?;
        }
        parameters.finish(target.places)
    }

    fn from_list(text: &str) -> Result<Self> {
        let mut parameters = parameters::Parameters::new(Self::empty());
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, value) = rest
                .split_once('=')
                .ok_or_else(|| Error::config("a list must consist of name=value, separated by spaces"))?;
            if name.contains(';') || value.contains("; ") || value.ends_with(';') {
                return Err(Error::config("name=value; … is the form of ADO.NET: use a URL instead"));
            }
            let (value, after) = list_value(value.trim_start())?;
            parameters.set(name.trim_end(), &value)?;
            rest = after.trim_start();
        }
        parameters.finish(Vec::new())
    }
}

impl FromStr for PostgresConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let parsed = match text.split_once("://") {
            Some((scheme, rest))
                if matches!(scheme.split('+').next(), Some("postgres" | "postgresql"))
                    && !scheme.contains(['=', ' ']) =>
            {
                Self::from_url(rest)
            }
            Some((scheme, _)) if !scheme.contains('=') => {
                Err(Error::config("the scheme must be postgres://"))
            }
            _ if text.is_empty() => Err(Error::config("the config string is empty")),
            _ => Self::from_list(text),
        };
        parsed.map_err(|error| Error::config(format!("{}; {EXPECTED}", error.message())).in_engine(ENGINE))
    }
}

/// Prints no password.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("user", &self.options.get_username())
            .field("database", &self.options.get_database())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Returns the value at the beginning of `text`, and the rest: unquoted up to a space, or in `'…'`;
/// `\` escapes the next character.
fn list_value(text: &str) -> Result<(String, &str)> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |rest| (true, rest));
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, next)| next)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            blank if blank.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted { Err(Error::config("a value that begins with ' must end with '")) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;
    use sqlx::postgres::PgSslMode;

    use super::*;

    #[test]
    fn urls_and_lists_are_equivalent() {
        for text in [
            "postgres://ada:p%40s%20s@db.example:6432/web?sslmode=verify-full&table=app.web_session&max_connections=4&connect_timeout=500ms",
            "postgresql://db.example/?port=6432&user=ada&password=p%40s%20s&dbname=web&sslmode=verify-full&table=app.web_session&max_connections=4&connect_timeout=500ms",
            "host=db.example port=6432 user=ada password='p@s s' dbname=web sslmode=verify-full table=app.web_session max_connections=4 connect_timeout=500ms",
            r" host = db.example  port=6432 user=ada password=p@s\ s dbname='web' sslmode=verify-full table=app.web_session max_connections=4 connect_timeout=500ms ",
        ] {
            let config: PostgresConfig = text.parse().unwrap();
            let options = &config.options;
            assert_eq!((options.get_host(), options.get_port()), ("db.example", 6432), "{text}");
            assert_eq!((options.get_username(), options.get_database()), ("ada", Some("web")), "{text}");
            assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull), "{text}");
            assert_eq!(config.settings.table.to_string(), "app.web_session");
            assert_eq!(config.settings.max_connections, 4);
            assert_eq!(config.settings.connect_timeout, Duration::from_millis(500));
            assert!(format!("{options:?}").contains("p@s s"), "the driver got the password");
            assert!(!format!("{config:?}").contains("p@s s"), "and nobody else");
        }
    }

    #[test]
    fn notices_are_written_as_for_redis_too() {
        for (word, on) in [("true", true), ("on", true), ("false", false), ("off", false)] {
            let config: PostgresConfig = format!("host=db.example notices={word}").parse().unwrap();
            assert_eq!(config.notices, on, "{word}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_all_known_ones() {
        let error = "host=db.example tabel=web_session".parse::<PostgresConfig>().unwrap_err();
        let (_, known) = error.message().split_once("known parameters are ").unwrap();
        let known: Vec<_> = known.split([',', ';', ' ']).collect();
        for name in ["host", "target_session_attrs", "prepared_statements", "pgbouncer", "notices", "migrate"]
        {
            assert!(known.contains(&name), "{error}");
        }
    }

    #[test]
    fn beegos_example_and_sockets_are_understood() {
        let seed: PostgresConfig =
            "postgres://pqgotest:password@localhost/pqgotest?sslmode=verify-full".parse().unwrap();
        assert_eq!(
            (seed.options.get_username(), seed.options.get_database()),
            ("pqgotest", Some("pqgotest"))
        );
        assert_eq!(seed.settings, Settings::default());
        for text in [
            "host=/run/postgresql dbname=web",
            "postgres://%2Frun%2Fpostgresql/web",
            "postgres:///web?host=/run/postgresql",
        ] {
            let config: PostgresConfig = text.parse().unwrap();
            assert_eq!(config.options.get_socket().unwrap().to_str(), Some("/run/postgresql"), "{text}");
        }
        let timeout: PostgresConfig =
            "host=x options='-c statement_timeout=5s --lock_timeout=1s'".parse().unwrap();
        let asked = timeout.server_options.iter().map(|(name, value)| format!("{name}={value}"));
        assert_eq!(asked.collect::<Vec<_>>(), ["statement_timeout=5s", "lock_timeout=1s"]);
    }

    #[test]
    fn a_wrong_config_string_shows_the_expected_form_and_never_the_password() {
        for bad in [
            "",
            "   ",
            "hunter2",
            "mysql://ada:hunter2@db/web",
            "http://ada:hunter2@db/web",
            "postgres://ada:hunter2@db:0/web",
            "postgres://ada:hunter2@db:99999/web",
            "postgres://ada@db:hunter2/web",
            "postgres://ada:hunter2/@db/web",
            "postgres://ada:hunter2#@db/web",
            "postgres://ada:hunter2?@db/web",
            "postgres://ada:hunter2?a=b@db/web",
            "postgres://ada:hunter2%@db/web",
            "postgres://ada:hunter2@db/web/more",
            "postgres://ada:hunter2@[::1/web",
            "postgres://ada:hunter2@d b/web",
            "postgres://ada:hunter2@db/web?sslmode=on",
            "postgres://ada:hunter2@db/web?sslmode=hunter2",
            "postgres://ada:hunter2@db/web?hunter2=1",
            "postgres://ada:hunter2@db/web?hunter2",
            "postgres://ada:hunter2@db/web?table=session;drop%20table%20session",
            "postgres://ada:hunter2@db/web?table=hunter2%22",
            "postgres://ada:hunter2@db/web?max_connections=0",
            "postgres://ada:hunter2@db/web?max_connections=-1",
            "postgres://ada:hunter2@db/web?connect_timeout=soon",
            "postgres://ada:hunter2@db/web?migrate=maybe",
            "postgres://ada:hunter2@db/web?target_session_attrs=standby",
            "postgres://ada:hunter2@db/web?options=hunter2",
            "postgres://ada:hunter2@db/web?sslrootcert=/nowhere/hunter2",
            "postgres://ada:hunter2@db/web?sslkey=",
            "host=db user=ada password='hunter2",
            "host=db user=ada password=hunter2 port=five",
            "host=db user=ada password=hunter2 dbname",
            "host= user=ada password=hunter2",
            "host=db user=ada passwort=hunter2",
            "ada:hunter2@tcp(127.0.0.1:3306)/web",
        ] {
            let error = bad.parse::<PostgresConfig>().unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(text.contains("postgres://user:***@host:5432/database"), "{bad}: {text}");
            assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{bad}: {text}");
        }
    }
}
