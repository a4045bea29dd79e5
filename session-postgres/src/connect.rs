//! Opens connections: the hosts in turn, the login of the moment, and session settings that do not
//! depend on how the server is set up.

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

/// A setting that only a connection of our own has: a pooler drops or refuses it.
const MARK: &str = "session_kit.direct";

/// What a new connection is asked: whether the mark arrived, and whether the server is a standby.
const QUESTION: &str =
    "SELECT coalesce(current_setting('session_kit.direct', true), ''), pg_is_in_recovery()::text";

/// How to open connections to one place, or to the first of several that takes writes.
pub(crate) struct Connector {
    options: PgConnectOptions,
    places: Vec<Place>,
    /// What the user asks of the server, by name and value.
    asked: Vec<(String, String)>,
    /// What we ask of it, less what the user has decided.
    ours: Vec<(&'static str, String)>,
    credentials: Option<Arc<dyn Credentials>>,
    /// A pooler is between us and the server, which may run each statement on another connection.
    /// From then on nothing is prepared and no setting is changed.
    pooled: AtomicBool,
}

impl Connector {
    pub(crate) fn new(config: PostgresConfig) -> Self {
        let PostgresConfig { options, places, server_options, unprepared, credentials, settings, .. } =
            config;
        let given = options.get_options().unwrap_or_default().to_owned();
        let decided = |name: &str| {
            server_options.iter().any(|(asked, _)| asked == name) || given.contains(&format!("{name}="))
        };
        let ours = settings_of(&settings).into_iter().filter(|(name, _)| !decided(name)).collect();
        Self {
            options: options.extra_float_digits(None).disable_statement_logging(),
            places,
            asked: server_options,
            ours,
            credentials,
            pooled: AtomicBool::new(unprepared),
        }
    }

    /// For an application's pool: its settings are its own.
    pub(crate) fn of_a_pool(pool: &PgPool) -> Self {
        let mut connector = Self::new(PostgresConfig::new(pool.connect_options().as_ref().clone()));
        connector.ours.clear();
        connector
    }

    /// Whether a pooler is in between.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.load(Ordering::Relaxed)
    }

    /// How to open a connection to the server that takes writes now.
    pub(crate) async fn options(&self) -> Result<PgConnectOptions, Error> {
        let (place, connection) = self.open_first().await?;
        let _ = connection.close().await;
        self.options_at(place).await
    }

    /// Opens a connection to the first place that takes writes.
    async fn open_first(&self) -> Result<(Option<&Place>, PgConnection), Error> {
        let mut failed = None;
        for place in &self.places {
            match self.open_at(Some(place)).await {
                Ok(connection) => return Ok((Some(place), connection)),
                Err(error) => {
                    tracing::debug!("no connection to one of several servers: {error}");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok((None, self.open_at(None).await?)),
        }
    }

    async fn options_at(&self, place: Option<&Place>) -> Result<PgConnectOptions, Error> {
        let mut options = self.options.clone();
        match place {
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
                unfit(ErrorKind::Unavailable, format!("the hook for user and password failed: {error}"))
            })?;
            if let Some(user) = &login.user {
                options = options.username(user);
            }
            options = options.password(login.password.expose());
        }
        Ok(options)
    }

    async fn open_at(&self, place: Option<&Place>) -> Result<PgConnection, Error> {
        let options = self.options_at(place).await?;
        if !self.is_pooled() {
            let mark = format!("{:016x}", rand::random::<u64>());
            let ours = self.ours.iter().map(|(name, value)| (*name, value.as_str()));
            let asked = self.asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let settings = ours.chain(asked).chain([(MARK, mark.as_str())]);
            match options.clone().options(settings).connect().await {
                Ok(connection) => return self.examined(connection, &mark).await,
                // A pooler does not let settings pass.
                Err(error) if matches!(code(&error), Some("08P01" | "0A000")) => {
                    tracing::debug!("settings are refused as by a pooler: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        let connection = options.connect().await?;
        self.examined(connection, "-").await
    }

    /// Looks where a new connection leads to.
    async fn examined(&self, mut connection: PgConnection, mark: &str) -> Result<PgConnection, Error> {
        let row = sqlx::raw_sql(QUESTION).fetch_one(&mut connection).await?;
        let (found, standby): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if standby == "true" {
            let _ = connection.close().await;
            return Err(unfit(ErrorKind::Unavailable, "the server is a standby and takes no writes"));
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
        // The pool's own connections do not tell whether a pooler is in between.
        let connection = self.open().await?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn echo(&self, connection: &mut PgConnection, number: i64) -> Result<i64, Error> {
        let question = AssertSqlSafe(format!("SELECT ({number})::bigint"));
        sqlx::raw_sql(question).fetch_one(connection).await?.try_get(0)
    }
}

/// Isolation: every statement is a transaction of its own and needs no more than this one.
fn settings_of(settings: &Settings) -> [(&'static str, String); 4] {
    [
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("lock_timeout", milliseconds(settings.lock_timeout)),
        ("statement_timeout", milliseconds(settings.statement_timeout)),
    ]
}

/// Zero would mean no limit, and the server counts with 31 bits.
fn milliseconds(time: Duration) -> String {
    let most = i32::MAX.cast_unsigned();
    u32::try_from(time.as_millis()).unwrap_or(most).clamp(1, most).to_string()
}
