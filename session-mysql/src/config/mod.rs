//! The config string: a URL, or the format of Go's driver.

mod parameters;
#[cfg(test)]
mod providers;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Error, Result};
use session_sql::{Credentials, Migrate, Place, Settings, Target};
use sqlx::mysql::MySqlConnectOptions;

use crate::dsn;
use crate::failure::ENGINE;

const EXPECTED: &str = "expected user:***@tcp(host:3306)/database?tls=true, user:***@unix(/path)/database or \
                        mysql://user:***@host:3306/database?ssl-mode=VERIFY_IDENTITY";

/// The server and the settings of the engine. Parsed from a string, or built from
/// [`MySqlConnectOptions`].
///
/// ```
/// use session_mysql::MySqlConfig;
///
/// # fn main() -> session_core::Result<()> {
/// let go: MySqlConfig = "web:secret@tcp(127.0.0.1:3306)/web?tls=preferred&table=web_session".parse()?;
/// let socket: MySqlConfig = "web:secret@unix(/run/mysqld/mysqld.sock)/web".parse()?;
/// let url: MySqlConfig = "mysql://web:secret@db.example/web?ssl-mode=VERIFY_IDENTITY&max_connections=32".parse()?;
/// # let _ = (go, socket, url);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MySqlConfig {
    pub(crate) options: MySqlConnectOptions,
    /// The addresses, tried in order; empty for the address in `options`.
    pub(crate) places: Vec<Place>,
    /// Session variables, by name and value.
    pub(crate) variables: Vec<(&'static str, u64)>,
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
    pub(crate) settings: Settings,
}

impl MySqlConfig {
    /// With these connection options, the table `session` and 16 connections.
    pub fn new(options: MySqlConnectOptions) -> Self {
        Self {
            options,
            places: Vec::new(),
            variables: Vec::new(),
            credentials: None,
            settings: Settings::default(),
        }
    }

    /// The table of the sessions: `name` or `database.name`, case-sensitive.
    pub fn table(mut self, name: &str) -> Result<Self> {
        self.settings.table = name.parse()?;
        Ok(self)
    }

    /// The maximum number of connections; 16 by default. Further statements wait.
    #[must_use]
    pub fn max_connections(mut self, count: u32) -> Self {
        self.settings.max_connections = count.max(1);
        self
    }

    /// How long opening a connection may take; 5 s by default.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long a statement waits for a locked row before it is retried once; 2 s by default,
    /// rounded up to seconds. Keep it below half of the manager's operation timeout, so that a
    /// locked row ends in a definite error.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.settings.lock_timeout = timeout;
        self
    }

    /// How long a statement may take on the server; 10 s by default. Only MariaDB has such a limit
    /// for all statements.
    #[must_use]
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.settings.statement_timeout = timeout;
        self
    }

    /// The treatment of the table when connecting; none by default. `true` creates or updates it.
    #[must_use]
    pub fn migrate(mut self, migrate: impl Into<Migrate>) -> Self {
        self.settings.migrate = migrate.into();
        self
    }

    /// Provides user and password for each new connection, for tokens that expire and passwords
    /// that are rotated. Takes a closure that returns a future. Tokens that are sent in clear text
    /// need `MySqlConnectOptions::enable_cleartext_plugin` and TLS.
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    fn of(target: Target) -> Result<Self> {
        let mut options = MySqlConnectOptions::new();
        options = match target.places.first() {
            Some(Place::Host(host, port)) => options.host(host).port(port.unwrap_or(3306)),
            Some(Place::Socket(path)) => options.socket(path),
            None => options,
        };
        if let Some(user) = &target.user {
            options = options.username(user);
        }
        if let Some(password) = &target.password {
            options = options.password(password.expose());
        }
        let missing = || Error::config("the name of the database is missing");
        options = options.database(target.database.as_deref().ok_or_else(missing)?);
        let mut parameters = parameters::Parameters::new(Self::new(options));
        for (name, value) in &target.parameters {
            parameters.set(name, value)?;
        }
        let mut config = parameters.finish();
        if target.places.len() > 1 {
            config.places = target.places;
        }
        Ok(config)
    }
}

impl FromStr for MySqlConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        let target = match text.split_once("://") {
            Some((scheme, rest))
                if matches!(scheme.split('+').next(), Some("mysql" | "mariadb" | "mysql2")) =>
            {
                Target::parse(rest)
            }
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(Error::config("the scheme must be mysql://"))
            }
            _ if text.is_empty() => Err(Error::config("the config string is empty")),
            _ => dsn::parse(text),
        };
        target
            .and_then(Self::of)
            .map_err(|error| Error::config(format!("{}; {EXPECTED}", error.message())).in_engine(ENGINE))
    }
}

/// Omits the password.
impl fmt::Debug for MySqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlConfig")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("user", &self.options.get_username())
            .field("database", &self.options.get_database())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;
    use sqlx::mysql::MySqlSslMode;

    use super::*;

    #[test]
    fn urls_and_the_format_of_gos_driver_are_equivalent() {
        for text in [
            "ada:p@s w@tcp(db.example:3307)/web?tls=true&table=app.web_session&max_connections=4&timeout=500ms",
            "mysql://ada:p%40s%20w@db.example:3307/web?ssl-mode=VERIFY_IDENTITY&table=app.web_session\
             &max_connections=4&connect_timeout=500ms",
        ] {
            let config: MySqlConfig = text.parse().unwrap();
            let options = &config.options;
            assert_eq!((options.get_host(), options.get_port()), ("db.example", 3307), "{text}");
            assert_eq!((options.get_username(), options.get_database()), ("ada", Some("web")), "{text}");
            assert!(matches!(options.get_ssl_mode(), MySqlSslMode::VerifyIdentity), "{text}");
            assert_eq!(config.settings.table.to_string(), "app.web_session");
            assert_eq!(config.settings.max_connections, 4);
            assert_eq!(config.settings.connect_timeout, Duration::from_millis(500));
            assert!(format!("{options:?}").contains("p@s w"), "the driver got the password");
            assert!(!format!("{config:?}").contains("p@s w"), "it is not printed");
        }
    }

    #[test]
    fn beegos_example_and_options_only_for_go_are_understood() {
        let seed: MySqlConfig =
            "username:password@tcp(127.0.0.1:3306)/dbname?parseTime=true&loc=Local&charset=utf8mb4,utf8"
                .parse()
                .unwrap();
        assert_eq!((seed.options.get_host(), seed.options.get_database()), ("127.0.0.1", Some("dbname")));
        assert_eq!((seed.options.get_charset(), &seed.settings), ("utf8mb4", &Settings::default()));
        let socket: MySqlConfig = "ada@unix(/run/mysqld/mysqld.sock)/web".parse().unwrap();
        assert_eq!(socket.options.get_socket().unwrap().to_str(), Some("/run/mysqld/mysqld.sock"));
    }

    #[test]
    fn a_wrong_config_string_shows_the_expected_form_and_never_the_password() {
        for bad in [
            "",
            "  ",
            "/",
            "hunter2",
            "ada:hunter2@tcp(db:3306)",
            "ada:hunter2@tcp(db:3306)/",
            "ada:hunter2@db:3306/web",
            "ada:hunter2@tcp(db:3306/web",
            "ada:hunter2@tcp(db:x)/web",
            "ada:hunter2@tcp(db:0)/web",
            "ada:hunter2@tcp()/web",
            "ada:hunter2@tcp(d b)/web",
            "ada:hunter2@udp(db:3306)/web",
            "ada:hunter2@unix(relative)/web",
            "ada:hunter2@tcp(db:3306)/web?tls=maybe",
            "ada:hunter2@tcp(db:3306)/web?tls=hunter2",
            "ada:hunter2@tcp(db:3306)/web?hunter2=1",
            "ada:hunter2@tcp(db:3306)/web?hunter2",
            "ada:hunter2@tcp(db:3306)/web?timeout=soon",
            "ada:hunter2@tcp(db:3306)/web?table=a;drop",
            "ada:hunter2@tcp(db:3306)/web?table=`hunter2`",
            "ada:hunter2@tcp(db:3306)/web?charset=utf8';drop",
            "ada:hunter2@tcp(db:3306)/web?collation=x%20y",
            "ada:hunter2@tcp(db:3306)/web?max_connections=0",
            "ada:hunter2@tcp(db:3306)/web?loc=Europe/Berlin",
            "ada:hunter2@tcp(db:3306)/%zzweb",
            "ada:hunter2@tcp(db:3306)/web?ssl-ca=%2Fnowhere%2Fhunter2",
            "mysql://ada:hunter2@db",
            "mysql://ada:hunter2@db:99999/web",
            "mysql://ada@db:hunter2/web",
            "mysql://ada:hunter2/@db/web",
            "mysql://ada:hunter2?@db/web",
            "mysql://ada:hunter2%@db/web",
            "mysql://ada:hunter2@db/web?ssl-mode=on",
            "mysql://ada:hunter2@db/web?migrate=1",
            "postgres://ada:hunter2@db/web",
            "https://ada:hunter2@db/web",
        ] {
            let error = bad.parse::<MySqlConfig>().unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(text.contains("user:***@tcp(host:3306)/database"), "{bad}: {text}");
            assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{bad}: {text}");
        }
    }
}
