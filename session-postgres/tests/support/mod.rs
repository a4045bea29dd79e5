//! Shared by the tests: this engine for `session_sql_tests`, and that crate's functions on it.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use session_core::ErrorKind;
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::compose;
use session_servers::postgres::Postgres as Server;
use session_sql_tests::{Dialect, Engine, Mistake};
use sqlx::PgConnection;

#[allow(unused_imports)]
pub use session_sql_tests::{behind_proxy, records::*};

/// PostgreSQL. A test on the shared server has a schema, in which the table is `session`.
pub struct Postgres;

session_sql_tests::shortcuts!(Postgres);

impl Engine for Postgres {
    session_sql_tests::provider!(PostgresProvider, PostgresConfig, PgConnection, Server);

    const NAME: &'static str = "postgresql";
    const DIALECT: Dialect = Dialect {
        without_tls: "sslmode=disable",
        few_connections: &["max_connections=5", "superuser_reserved_connections=0"],
        short_lock_timeout: &["lock_timeout=1s"],
        kill: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE backend_type = 'client backend' AND application_name <> 'admin'",
        connections: "SELECT count(*)::text FROM pg_stat_activity \
                      WHERE backend_type = 'client backend' AND application_name <> 'admin'",
        rotate_password: "ALTER ROLE session PASSWORD 'rotated'",
        // One more than the limit for a short time, before the first statement.
        most_of_a_pool_of_four: 5,
        text: "text",
        past: "'2020-01-01Z'",
        future: "'2100-01-01Z'",
        forever: "'infinity'",
        millis_left: "extract(epoch FROM session_expiry - now()) * 1000",
    };

    async fn empty(name: &str) -> String {
        empty(name).await
    }

    fn table(_name: &str) -> String {
        "session".to_owned()
    }

    fn hex(column: &str) -> String {
        format!("encode({column}, 'hex')")
    }

    fn bytes(digits: &str) -> String {
        format!(r"'\x{digits}'::bytea")
    }

    fn sha256(expression: &str) -> String {
        format!("sha256({expression})")
    }

    fn insert_many(table: &str, data: &str, of_ada: usize, of_others: usize) -> String {
        format!(
            "INSERT INTO {table} (session_key, session_data, session_expiry, collect_after, version, owner)
             SELECT encode(sha256(n::text::bytea), 'hex'), {data}, now() + interval '1 hour',
                 now() + interval '1 hour', n,
                 CASE WHEN n <= {of_ada} THEN sha256('ada') ELSE sha256(n::text::bytea) END
             FROM generate_series(1, {of_ada} + {of_others}) n"
        )
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

/// Creates a schema of this name on the shared server, without the table; returns its URL.
pub async fn empty(name: &str) -> String {
    let server = compose::POSTGRES.address();
    sql(&server, &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
    schema_url(name)
}

/// The URL of the schema of this name.
pub fn schema_url(name: &str) -> String {
    format!("{}?options=-c%20search_path%3D{name}", compose::POSTGRES.address())
}
