//! The config string: a URL, or the form of Go's driver. Both name the server and say how it is used.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use session_core::{Error, Result};
use session_sql::{Place, Settings, Target, duration, file};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::dsn;
use crate::failure::ENGINE;

const EXPECTED: &str = "expected user:***@tcp(host:3306)/database?tls=true, user:***@unix(/path)/database or \
                        mysql://user:***@host:3306/database?ssl-mode=VERIFY_IDENTITY";

const NAMES: &str = "tls, ssl-mode, ssl-ca, ssl-cert, ssl-key, charset, collation, timeout, socket";

/// What Go's driver can be told about itself, and means nothing here.
const OF_GO: [&str; 18] = [
    "allowAllFiles",
    "allowCleartextPasswords",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "checkConnLiveness",
    "clientFoundRows",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "writeTimeout",
];

/// How to reach the server, and how to use it. Read from a string, or built from [`MySqlConnectOptions`].
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
    pub(crate) settings: Settings,
}

impl MySqlConfig {
    /// With these connection options, the table `session` and 16 connections.
    pub fn new(options: MySqlConnectOptions) -> Self {
        Self { options, settings: Settings::default() }
    }

    /// In which table the sessions lie: `name` or `database.name`, exactly as it is spelled.
    pub fn table(mut self, name: &str) -> Result<Self> {
        self.settings.table = name.parse()?;
        Ok(self)
    }

    /// How many connections there may be; 16 by default. More statements at once wait for their turn.
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

    /// Whether connecting creates the table, or brings it up to date; not by default.
    #[must_use]
    pub const fn migrate(mut self, migrate: bool) -> Self {
        self.settings.migrate = migrate;
        self
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let options = self.options.clone();
        self.options = match name {
            "tls" => options.ssl_mode(tls(value)?),
            "ssl-mode" | "sslmode" => options.ssl_mode(value.parse().map_err(|_| {
                Error::config(
                    "`ssl-mode` must be DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
                )
            })?),
            "ssl-ca" | "sslca" => options.ssl_ca(file("ssl-ca", value)?),
            "ssl-cert" | "sslcert" => options.ssl_client_cert(file("ssl-cert", value)?),
            "ssl-key" | "sslkey" => options.ssl_client_key(file("ssl-key", value)?),
            // Go's driver takes several, and tries one after the other.
            "charset" => options.charset(word("charset", value.split(',').next().unwrap_or_default())?),
            "collation" => options.collation(word("collation", value)?),
            "socket" => options.socket(not_empty("socket", value)?),
            "timeout" => {
                self.settings.connect_timeout = duration("timeout", value)?;
                options
            }
            _ if OF_GO.contains(&name) => options,
            _ if self.settings.set(name, value)? => options,
            _ => {
                return Err(Error::config(format!(
                    "a parameter is not known: there are {NAMES}, {} and those of Go's driver",
                    Settings::NAMES
                )));
            }
        };
        Ok(())
    }

    fn of(target: &Target) -> Result<Self> {
        let mut options = MySqlConnectOptions::new();
        options = match &target.place {
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
        let mut config = Self::new(options);
        for (name, value) in &target.parameters {
            config.set(name, value)?;
        }
        Ok(config)
    }
}

impl FromStr for MySqlConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let target = match text.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => Target::parse(rest),
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(Error::config("the scheme must be mysql://"))
            }
            _ if text.is_empty() => Err(Error::config("the config string is empty")),
            _ => dsn::parse(text),
        };
        target
            .and_then(|target| Self::of(&target))
            .map_err(|error| Error::config(format!("{}; {EXPECTED}", error.message())).in_engine(ENGINE))
    }
}

/// Shows no password.
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

/// `tls` as Go's driver spells it.
fn tls(value: &str) -> Result<MySqlSslMode> {
    match value {
        "true" | "1" => Ok(MySqlSslMode::VerifyIdentity),
        "false" | "0" => Ok(MySqlSslMode::Disabled),
        "skip-verify" => Ok(MySqlSslMode::Required),
        "preferred" => Ok(MySqlSslMode::Preferred),
        _ => Err(Error::config("`tls` must be true, false, skip-verify or preferred")),
    }
}

fn not_empty<'a>(name: &'static str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() { Err(Error::config(format!("`{name}` is empty"))) } else { Ok(value) }
}

/// A name that becomes part of the statement with which a connection begins.
fn word<'a>(name: &'static str, value: &'a str) -> Result<&'a str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if value.is_empty() || !value.bytes().all(allowed) {
        return Err(Error::config(format!("`{name}` must be one word such as utf8mb4")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;

    use super::*;

    #[test]
    fn urls_and_the_form_of_gos_driver_say_the_same() {
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
            assert!(!format!("{config:?}").contains("p@s w"), "and nobody else");
        }
    }

    #[test]
    fn the_seeds_example_and_what_only_go_needs_are_understood() {
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
