//! Opens connections: tries the hosts in order, gets the current login, and applies session
//! settings that override the server's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::ErrorKind;
use session_sql::{Connect, Credentials, Place, Settings, unfit};
use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row};

use crate::MySqlConfig;
use crate::failure::number;

/// Without it every write would be rolled back when the connection ends.
const AUTOCOMMIT: &str = "SET autocommit = 1";

/// Whether it is set, and whether the server accepts writes.
const QUESTION: &str = "SELECT CAST(@@autocommit AS SIGNED), CAST(@@read_only AS CHAR)";

/// The settings that the statements need. They use no double-quoted names and no backslashes, and
/// their time is UTC in every time zone; without strict mode the server would truncate values that
/// are too long.
const MODES: &str = "sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'";

/// Every statement is its own transaction. This isolation level works with every format of the
/// binary log. The names differ between MariaDB and MySQL; each ignores the other's version
/// comment.
const TRANSACTIONS: &str = "/*M! , tx_isolation = 'REPEATABLE-READ', tx_read_only = 0 */ \
                            /*!80000 , transaction_isolation = 'REPEATABLE-READ', transaction_read_only = 0 */";

/// Opens connections to one server, or to the first of several that accepts writes.
pub(crate) struct Connector {
    options: MySqlConnectOptions,
    places: Vec<Place>,
    /// All settings in one statement; and one by one, for servers that do not know some of them.
    all: String,
    each: Vec<String>,
    credentials: Option<Arc<dyn Credentials>>,
}

impl Connector {
    pub(crate) fn new(config: MySqlConfig) -> Self {
        let MySqlConfig { options, places, variables, credentials, settings } = config;
        let options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
        let collation = options.get_collation().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let names = format!("NAMES {}{collation}", options.get_charset());
        let [lock, statement] = limits(&settings);
        let variables = variables.iter().map(|(name, value)| format!("{name} = {value}"));
        let own: Vec<String> = [names, MODES.to_owned(), lock].into_iter().chain(variables).collect();
        let all = format!("{AUTOCOMMIT}, {} /*M! , {statement} */ {TRANSACTIONS}", own.join(", "));
        Self {
            options: options.set_names(false).disable_statement_logging(),
            places,
            all,
            each: own.into_iter().map(|setting| format!("SET {setting}")).collect(),
            credentials,
        }
    }

    /// For an application's pool, which opens its own connections.
    pub(crate) fn of_a_pool(pool: &MySqlPool) -> Self {
        Self::new(MySqlConfig::new(pool.connect_options().as_ref().clone()))
    }

    async fn open_at(&self, place: Option<&Place>) -> Result<MySqlConnection, Error> {
        let mut options = self.options.clone();
        match place {
            Some(Place::Host(host, port)) => options = options.host(host).port(port.unwrap_or(3306)),
            Some(Place::Socket(path)) => options = options.socket(path),
            None => {}
        }
        if let Some(credentials) = &self.credentials {
            let login = credentials.credentials().await.map_err(|error| {
                unfit(ErrorKind::Unavailable, format!("the hook for user and password failed: {error}"))
            })?;
            if let Some(user) = &login.user {
                options = options.username(user);
            }
            options = options.password(login.password.expose());
        }
        let mut connection = options.connect().await?;
        if !is_set(&mut connection, &self.all).await? {
            sqlx::raw_sql(AUTOCOMMIT).execute(&mut connection).await?;
            for setting in &self.each {
                is_set(&mut connection, setting).await?;
            }
        }
        if let Err(error) = examined(&mut connection).await {
            let _ = connection.close().await;
            return Err(error);
        }
        Ok(connection)
    }
}

/// Whether the server accepts these settings.
async fn is_set(connection: &mut MySqlConnection, settings: &str) -> Result<bool, Error> {
    match sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await {
        // A node that accepts no statements at all.
        Err(error) if number(&error) == Some(1047) => Err(error),
        Err(Error::Database(error)) => {
            tracing::debug!("session settings are refused: {error}");
            Ok(false)
        }
        set => set.map(|_| true),
    }
}

/// Checks that the server accepts and keeps writes.
async fn examined(connection: &mut MySqlConnection) -> Result<(), Error> {
    let row = sqlx::raw_sql(QUESTION).fetch_one(&mut *connection).await?;
    let (autocommit, read_only): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    if autocommit != 1 {
        return Err(unfit(
            ErrorKind::Config,
            "autocommit is off on this connection, and no write would be kept: set autocommit=1 on the pool's \
             connections or on the server",
        ));
    }
    if !matches!(read_only.as_str(), "0" | "OFF") {
        return Err(unfit(
            ErrorKind::Unavailable,
            "the server is read-only: a replica, or being switched over",
        ));
    }
    Ok(())
}

/// Omits the password.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("settings", &self.all).finish_non_exhaustive()
    }
}

#[async_trait]
impl Connect<MySql> for Connector {
    async fn open(&self) -> Result<MySqlConnection, Error> {
        let mut failed = None;
        for place in &self.places {
            match self.open_at(Some(place)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tracing::debug!("no connection to one of several servers: {error}");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => self.open_at(None).await,
        }
    }

    async fn examine(&self, pool: &MySqlPool) -> Result<(), Error> {
        examined(&mut *pool.acquire().await?).await
    }

    async fn echo(&self, connection: &mut MySqlConnection, number: i64) -> Result<i64, Error> {
        let question = AssertSqlSafe(format!("SELECT CAST({number} AS SIGNED)"));
        sqlx::raw_sql(question).fetch_one(connection).await?.try_get(0)
    }
}

/// The lock timeout in seconds, and the statement timeout, which only MariaDB supports.
fn limits(settings: &Settings) -> [String; 2] {
    let lock = seconds(settings.lock_timeout, 1_000_000);
    let statement = settings.statement_timeout.min(Duration::from_hours(8_760)).as_secs_f64().max(0.001);
    [format!("innodb_lock_wait_timeout = {lock}"), format!("max_statement_time = {statement:.3}")]
}

/// Rounded up: zero would disable waiting.
fn seconds(time: Duration, most: u64) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).clamp(1, most)
}
