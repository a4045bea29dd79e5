//! Opens connections: tries the hosts in order, gets the current login, and sets session settings
//! independently of the server's configuration.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_core::ErrorKind;
use session_sql::{Connect, Credentials, Place, Settings, unfit};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row};

use crate::PostgresConfig;
use crate::failure::code;

/// A setting that survives only on a direct connection: a pooler drops or refuses it.
const MARK: &str = "session_kit.direct";

/// The query on a new connection: whether the mark has arrived, and whether the server is a
/// standby.
const QUESTION: &str =
    "SELECT coalesce(current_setting('session_kit.direct', true), ''), pg_is_in_recovery()::text";

/// Opens connections to one address, or to the first of several that accepts writes.
pub(crate) struct Connector {
    options: PgConnectOptions,
    addresses: Vec<Place>,
    /// The server settings of the user, by name and value.
    asked: Vec<(String, String)>,
    /// Our own settings, except those that the user has set.
    ours: Vec<(&'static str, String)>,
    credentials: Option<Arc<dyn Credentials>>,
    /// A pooler is in front of the server, and may run each statement on another connection. Once
    /// this is known, statements are not prepared and no setting is changed.
    pooled: AtomicBool,
}

impl Connector {
    pub(crate) fn new(config: PostgresConfig) -> Self {
        let PostgresConfig { options, addresses, server_options, unprepared, credentials, settings, .. } =
            config;
        let given = options.get_options().unwrap_or_default().to_owned();
        let decided = |name: &str| {
            server_options.iter().any(|(asked, _)| asked == name) || given.contains(&format!("{name}="))
        };
        let ours = settings_of(&settings).into_iter().filter(|(name, _)| !decided(name)).collect();
        Self {
            options: options.extra_float_digits(None).disable_statement_logging(),
            addresses,
            asked: server_options,
            ours,
            credentials,
            pooled: AtomicBool::new(unprepared),
        }
    }

    /// Creates the connector of an application's pool, which keeps its own settings.
    pub(crate) fn of_a_pool(pool: &PgPool) -> Self {
        let mut connector = Self::new(PostgresConfig::new(pool.connect_options().as_ref().clone()));
        connector.ours.clear();
        connector
    }

    /// Returns whether a pooler is in front of the server.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.load(Ordering::Relaxed)
    }

    /// Returns the options for connecting to the server that currently accepts writes.
    pub(crate) async fn options(&self) -> Result<PgConnectOptions, Error> {
        let (address, connection) = self.open_first().await?;
        let _ = connection.close().await;
        self.options_at(address).await
    }

    /// Opens a connection to the first address that accepts writes.
    async fn open_first(&self) -> Result<(Option<&Place>, PgConnection), Error> {
        let mut failed = None;
        for address in &self.addresses {
            match self.open_at(Some(address)).await {
                Ok(connection) => return Ok((Some(address), connection)),
                Err(error) => {
                    tracing::debug!("connecting to one of several servers failed: {error}");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok((None, self.open_at(None).await?)),
        }
    }

    async fn options_at(&self, address: Option<&Place>) -> Result<PgConnectOptions, Error> {
        let mut options = self.options.clone();
        match address {
            Some(Place::Host(host, port)) => {
                options = options.host(host);
                if let Some(port) = port {
                    options = options.port(*port);
                }
            }
            Some(Place::Socket(path)) => options = options.host(path),
            None => {}
        }
        if let Some(credentials) = &self.credentials {
            let login = credentials.credentials().await.map_err(|error| {
                unfit(ErrorKind::Unavailable, format!("the source of user and password failed: {error}"))
            })?;
            if let Some(user) = &login.user {
                options = options.username(user);
            }
            options = options.password(login.password.expose());
        }
        Ok(options)
    }

    async fn open_at(&self, address: Option<&Place>) -> Result<PgConnection, Error> {
        let options = self.options_at(address).await?;
        if !self.is_pooled() {
            let mark = format!("{:016x}", rand::random::<u64>());
            let ours = self.ours.iter().map(|(name, value)| (*name, value.as_str()));
            let asked = self.asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let settings = ours.chain(asked).chain([(MARK, mark.as_str())]);
            match options.clone().options(settings).connect().await {
                Ok(connection) => return self.checked(connection, &mark).await,
                // A pooler does not pass settings on.
                Err(error) if matches!(code(&error), Some("08P01" | "0A000")) => {
                    tracing::debug!("settings were refused, probably by a pooler: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        let connection = options.connect().await?;
        self.checked(connection, "-").await
    }

    /// Checks the server of a new connection.
    async fn checked(&self, mut connection: PgConnection, mark: &str) -> Result<PgConnection, Error> {
        let row = sqlx::raw_sql(QUESTION).fetch_one(&mut connection).await?;
        let (found, standby): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if standby == "true" {
            let _ = connection.close().await;
            return Err(unfit(ErrorKind::Unavailable, "the server is a standby and accepts no writes"));
        }
        if found != mark && !self.pooled.swap(true, Ordering::Relaxed) {
            tracing::info!("a pooler is in front of the server: statements are sent without preparing them");
        }
        if self.is_pooled() && !self.asked.is_empty() {
            let _ = connection.close().await;
            return Err(unfit(
                ErrorKind::Config,
                "server settings cannot be kept behind a pooler: instead of `search_path` set table=schema.name, and \
                 instead of other `options` use ALTER ROLE … SET",
            ));
        }
        Ok(connection)
    }
}

/// Shows no password.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("pooled", &self.pooled).finish_non_exhaustive()
    }
}

#[async_trait]
impl Connect<Postgres> for Connector {
    async fn open(&self) -> Result<PgConnection, Error> {
        self.open_first().await.map(|(_, connection)| connection)
    }

    async fn examine(&self, _: &PgPool) -> Result<(), Error> {
        // The pool's own connections do not show whether a pooler is in front of the server.
        let connection = self.open().await?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn echo(&self, connection: &mut PgConnection, number: i64) -> Result<i64, Error> {
        let question = AssertSqlSafe(format!("SELECT ({number})::bigint"));
        sqlx::raw_sql(question).fetch_one(connection).await?.try_get(0)
    }
}

/// Returns our session settings. The lowest isolation level is enough, because every statement is a
/// separate transaction.
fn settings_of(settings: &Settings) -> [(&'static str, String); 4] {
    [
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("lock_timeout", milliseconds(settings.lock_timeout)),
        ("statement_timeout", milliseconds(settings.statement_timeout)),
    ]
}

/// Formats a timeout. Zero would mean no limit, and the server uses 31 bits.
fn milliseconds(time: Duration) -> String {
    let most = i32::MAX.cast_unsigned();
    u32::try_from(time.as_millis()).unwrap_or(most).clamp(1, most).to_string()
}
