//! The engines with an index of owners, each with the servers it needs.

use std::any::Any;
use std::io;
use std::sync::Arc;

use session_core::{Manager, Provider};
use session_couchbase::CouchbaseProvider;
use session_file::FileProvider;
use session_memory::MemoryProvider;
use session_mysql::{MySqlConfig, MySqlProvider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::couchbase::CouchbaseMock;
use session_servers::postgres::Postgres;
use session_servers::redis::Redis;
use session_sqlite::{SqliteConfig, SqliteProvider};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::rows::servers::{our_redis, start_mariadb};
use crate::thread::Thread;

/// memcached has no index, and cookies are with their owners.
pub const NAMES: [&str; 7] = ["memory", "file", "sqlite", "redis", "postgres", "mysql", "couchbase"];

/// The table whose index is dropped.
const PLAIN: &str = "plain";

/// A running engine.
pub struct Engine {
    pub name: &'static str,
    pub provider: Arc<dyn Provider>,
    /// The same, with a table that has no index of owners.
    plain: Option<Arc<dyn Provider>>,
    _place: Box<dyn Any>,
}

impl Engine {
    /// Starts the engine of this name.
    pub fn start(name: &'static str, thread: &Thread) -> io::Result<Self> {
        let (provider, plain, place): (Arc<dyn Provider>, _, Box<dyn Any>) = match name {
            "memory" => (Arc::new(MemoryProvider::new()), None, Box::new(())),
            "file" => {
                let directory = tempfile::tempdir()?;
                let provider = thread.block_on(FileProvider::connect(directory.path()));
                (Arc::new(provider.map_err(io::Error::other)?), None, Box::new(directory))
            }
            "sqlite" => {
                let directory = tempfile::tempdir()?;
                let file = directory.path().join("sessions.db");
                let (provider, plain) = thread.block_on(sqlite(&file)).map_err(io::Error::other)?;
                (provider, Some(plain), Box::new(directory))
            }
            "redis" => {
                let server = Redis::start()?;
                (Arc::new(our_redis(thread, &server)), None, Box::new(server))
            }
            "postgres" => {
                let server = Postgres::start()?;
                let (provider, plain) = thread.block_on(postgres(&server.url())).map_err(io::Error::other)?;
                (provider, Some(plain), Box::new(server))
            }
            "mysql" => {
                let server = start_mariadb(&[])?;
                let (provider, plain) = thread.block_on(mysql(&server.url())).map_err(io::Error::other)?;
                (provider, Some(plain), Box::new(server))
            }
            _ => {
                let server = CouchbaseMock::start()?;
                let config = server.url().parse().map_err(io::Error::other)?;
                let provider = thread.block_on(CouchbaseProvider::connect(config));
                (Arc::new(provider.map_err(io::Error::other)?), None, Box::new(server))
            }
        };
        Ok(Self { name, provider, plain, _place: place })
    }

    /// A manager over it.
    pub fn manager(&self) -> io::Result<Manager> {
        manager(&self.provider)
    }

    /// A manager over the table that has no index of owners.
    pub fn without_index(&self) -> io::Result<Option<Manager>> {
        self.plain.as_ref().map(manager).transpose()
    }
}

fn manager(provider: &Arc<dyn Provider>) -> io::Result<Manager> {
    Manager::builder_shared(Arc::clone(provider)).build().map_err(io::Error::other)
}

/// Two tables, the second without the index.
type Pair = Result<(Arc<dyn Provider>, Arc<dyn Provider>), Box<dyn std::error::Error + Send + Sync>>;

async fn sqlite(file: &std::path::Path) -> Pair {
    let provider = SqliteProvider::connect(SqliteConfig::file(file)).await?;
    let plain = SqliteProvider::connect(SqliteConfig::file(file).table(PLAIN)?).await?;
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    sqlx::query("DROP INDEX plain_by_user").execute(&mut connection).await?;
    Ok((Arc::new(provider), Arc::new(plain)))
}

async fn postgres(url: &str) -> Pair {
    let config: PostgresConfig = url.parse()?;
    let config = config.migrate(true);
    let provider = PostgresProvider::connect(config.clone()).await?;
    let plain = PostgresProvider::connect(config.table(PLAIN)?).await?;
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("DROP INDEX plain_by_user").execute(&mut connection).await?;
    Ok((Arc::new(provider), Arc::new(plain)))
}

async fn mysql(url: &str) -> Pair {
    let config: MySqlConfig = url.parse()?;
    let config = config.migrate(true);
    let provider = MySqlProvider::connect(config.clone()).await?;
    let plain = MySqlProvider::connect(config.table(PLAIN)?).await?;
    let mut connection = MySqlConnection::connect(url).await?;
    sqlx::query("ALTER TABLE plain DROP KEY by_owner").execute(&mut connection).await?;
    Ok((Arc::new(provider), Arc::new(plain)))
}
