//! The parts of an engine that the tests need.

use std::sync::Arc;
use std::time::Duration;

use session_core::clock::Clock;
use session_core::engine::{Indexed, Scan};
use session_core::{ErrorKind, Result};
use session_sql::{Credentials, PoolStatus};

use crate::Server;

/// An engine: its provider, its servers, and its SQL.
///
/// [`provider!`](crate::provider) writes the types and the methods that only forward to the
/// provider.
#[allow(async_fn_in_trait)] // tests await them at once, in the test's own task
pub trait Engine: 'static {
    /// The provider under test.
    type Provider: Indexed + Scan;
    /// A private server.
    type Server: Server;
    /// A connection without the provider.
    type Connection: sqlx::Connection;

    /// The engine's name in its errors.
    const NAME: &'static str;
    /// The words of its SQL and its URLs.
    const DIALECT: Dialect;

    /// Removes the table of this name from the shared server, and returns the URL for a new one.
    async fn empty(name: &str) -> String;
    /// The name in SQL of the table with this name.
    fn table(name: &str) -> String;
    /// The configurations that connecting to this server must refuse.
    fn mistakes(server: &Self::Server) -> Vec<Mistake>;

    /// Connects.
    async fn connect(config: &str) -> Result<Self::Provider>;
    /// A provider that connects on its first use.
    fn connect_lazy(config: &str) -> Self::Provider;
    /// Connects with user and password from a callback.
    async fn connect_asking(config: &str, credentials: impl Credentials) -> Result<Self::Provider>;
    /// Connects with other limits than the default ones.
    async fn connect_limited(config: &str, limits: Limits) -> Result<Self::Provider>;
    /// A provider on an application's pool with this maximum of connections.
    async fn with_pool(url: &str, connections: u32, table: &str) -> Self::Provider;
    /// The provider with another clock.
    fn with_clock(sessions: Self::Provider, clock: Arc<dyn Clock>) -> Self::Provider;
    /// Creates the table, or upgrades it.
    async fn migrate(sessions: &Self::Provider) -> Result<()>;
    /// Closes the provider's pool.
    async fn close(sessions: &Self::Provider);
    /// The state of the provider's pool.
    fn pool_status(sessions: &Self::Provider) -> PoolStatus;

    /// The expression as text.
    fn text(expression: &str) -> String {
        format!("CAST({expression} AS {})", Self::DIALECT.text)
    }
    /// The digits of a column of bytes, as text.
    fn hex(column: &str) -> String;
    /// A literal of the bytes with these hexadecimal digits.
    fn bytes(digits: &str) -> String;
    /// The hash of an expression.
    fn sha256(expression: &str) -> String;
    /// Inserts live sessions with this data: so many of the owner `ada`, and so many of others.
    fn insert_many(table: &str, data: &str, of_ada: usize, of_others: usize) -> String;

    /// Runs statements on this connection.
    async fn run(connection: &mut Self::Connection, statements: &str);
    /// The first column of every row, as text.
    async fn rows(connection: &mut Self::Connection, question: &str) -> Vec<String>;
}

/// Words that differ between the servers.
pub struct Dialect {
    /// The option of a URL that disables TLS, so that a proxy can count round trips.
    pub without_tls: &'static str,
    /// The settings of a server with at most ten connections.
    pub few_connections: &'static [&'static str],
    /// The settings of a server on which a statement waits a second for a locked row.
    pub short_lock_timeout: &'static [&'static str],
    /// For the administrator: ends all connections of the provider.
    pub kill: &'static str,
    /// For the administrator: the number of connections of the provider, as text.
    pub connections: &'static str,
    /// For the administrator: changes the password to `rotated`.
    pub rotate_password: &'static str,
    /// The most connections, for a moment, of an application's pool with a limit of four.
    pub most_of_a_pool_of_four: usize,
    /// The type of text in a `CAST`.
    pub text: &'static str,
    /// A literal of a deadline long ago.
    pub past: &'static str,
    /// A literal of a deadline in many years.
    pub future: &'static str,
    /// A literal of the latest deadline that the column can have.
    pub forever: &'static str,
    /// The milliseconds until `session_expiry`.
    pub millis_left: &'static str,
}

/// Limits of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest wait for a locked row.
    pub lock: Duration,
    /// The longest run time of a statement.
    pub statement: Duration,
    /// The longest time in which a connection must open.
    pub connect: Duration,
    /// The maximum number of connections.
    pub connections: u32,
}

/// A configuration that does not connect.
#[derive(Debug)]
pub struct Mistake {
    /// The configuration.
    pub config: String,
    /// The kind of the error.
    pub kind: ErrorKind,
    /// A part of the message.
    pub says: &'static str,
}

impl Mistake {
    /// A configuration with the error that it must cause.
    pub fn new(config: impl Into<String>, kind: ErrorKind, says: &'static str) -> Self {
        Self { config: config.into(), kind, says }
    }
}

/// The types of an [`Engine`](crate::Engine), and its methods that only forward to the provider.
#[macro_export]
macro_rules! provider {
    ($provider:ty, $config:ty, $connection:ty, $server:ty) => {
        type Provider = $provider;
        type Server = $server;
        type Connection = $connection;

        async fn connect(config: &str) -> $crate::session_core::Result<$provider> {
            <$provider>::connect(config.parse::<$config>().unwrap()).await
        }

        fn connect_lazy(config: &str) -> $provider {
            <$provider>::connect_lazy(config.parse().unwrap())
        }

        async fn connect_asking(
            config: &str,
            credentials: impl $crate::session_sql::Credentials,
        ) -> $crate::session_core::Result<$provider> {
            <$provider>::connect(config.parse::<$config>().unwrap().credentials(credentials)).await
        }

        async fn connect_limited(
            config: &str,
            limits: $crate::Limits,
        ) -> $crate::session_core::Result<$provider> {
            let config: $config = config.parse().unwrap();
            let config = config.lock_timeout(limits.lock).statement_timeout(limits.statement);
            let config = config.connect_timeout(limits.connect).max_connections(limits.connections);
            <$provider>::connect(config).await
        }

        async fn with_pool(url: &str, connections: u32, table: &str) -> $provider {
            let pool = $crate::sqlx::pool::PoolOptions::new().max_connections(connections);
            <$provider>::with_pool(pool.connect(url).await.unwrap(), table).unwrap()
        }

        fn with_clock(
            sessions: $provider,
            clock: std::sync::Arc<dyn $crate::session_core::clock::Clock>,
        ) -> $provider {
            sessions.clock(clock)
        }

        async fn migrate(sessions: &$provider) -> $crate::session_core::Result<()> {
            sessions.migrate().await
        }

        async fn close(sessions: &$provider) {
            sessions.close().await;
        }

        fn pool_status(sessions: &$provider) -> $crate::session_sql::PoolStatus {
            sessions.pool_status()
        }

        async fn run(connection: &mut $connection, statements: &str) {
            let statements = $crate::sqlx::AssertSqlSafe(statements);
            $crate::sqlx::raw_sql(statements).execute(connection).await.unwrap();
        }

        async fn rows(connection: &mut $connection, question: &str) -> Vec<String> {
            let question = $crate::sqlx::query_scalar($crate::sqlx::AssertSqlSafe(question));
            question.fetch_all(connection).await.unwrap()
        }
    };
}
