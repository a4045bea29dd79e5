//! Shared by the tests: this engine for `session_sql_tests`, and that crate's functions on it.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use session_core::ErrorKind;
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::compose;
use session_servers::postgres::Postgres as Server;
use session_sql_tests::{Dialect, Engine, Mistake, Table};
use sqlx::PgConnection;

#[allow(unused_imports)]
pub use session_sql_tests::{behind_proxy, records::*};

/// PostgreSQL. A test on the shared server has a schema, in which the table is `session`.
pub struct Postgres;

impl Engine for Postgres {
    session_sql_tests::provider!(PostgresProvider, PostgresConfig, PgConnection, Server);

    const NAME: &'static str = "postgresql";
    const DIALECT: Dialect = Dialect {
        without_tls: "sslmode=disable",
        few_connections: &["max_connections=5", "superuser_reserved_connections=0"],
        kill: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE backend_type = 'client backend' AND application_name <> 'admin'",
    };

    async fn empty(name: &str) -> String {
        empty(name).await
    }

    fn table(_name: &str) -> String {
        "session".to_owned()
    }

    fn mistakes(server: &Server) -> Vec<Mistake> {
        let right = server.url();
        let config = |config, says| Mistake::new(config, ErrorKind::Config, says);
        let unavailable = |config| Mistake::new(config, ErrorKind::Unavailable, "no connection");
        vec![
            config(right.replace(":session@", ":hunter2@"), "user and password"),
            config(right.replace("//session:session", "//nobody:hunter2"), "user and password"),
            config(format!("{right}x"), "no such database"),
            config(format!("{right}?sslmode=require"), "TLS"),
            unavailable("postgres://session:hunter2@127.0.0.1:1/session"),
            unavailable("host=/nowhere user=session password=hunter2"),
            unavailable("postgres://session:hunter2@nowhere.invalid/session"),
        ]
    }
}

/// Creates a schema of this name on the shared server, with the table; returns its URL and a
/// provider.
pub async fn start(name: &str) -> (String, PostgresProvider) {
    let (table, sessions) = Table::<Postgres>::start(name).await;
    (table.url().to_owned(), sessions)
}

/// The same without the table.
pub async fn empty(name: &str) -> String {
    let server = compose::POSTGRES.address();
    sql(&server, &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
    schema_url(name)
}

/// The URL of the schema of this name.
pub fn schema_url(name: &str) -> String {
    format!("{}?options=-c%20search_path%3D{name}", compose::POSTGRES.address())
}

/// A private server with the table.
pub async fn start_private(settings: &[&str]) -> (Server, PostgresProvider) {
    Table::<Postgres>::private(settings).await
}

pub async fn connect(config: &str) -> PostgresProvider {
    connect_result(config).await.unwrap()
}

pub async fn connect_result(config: &str) -> session_core::Result<PostgresProvider> {
    Postgres::connect(config).await
}

/// Runs statements without the provider.
pub async fn sql(url: &str, statements: &str) {
    session_sql_tests::sql::<Postgres>(url, statements).await;
}

/// The first column of every row, as text.
pub async fn ask(url: &str, question: &str) -> Vec<String> {
    session_sql_tests::ask::<Postgres>(url, question).await
}
