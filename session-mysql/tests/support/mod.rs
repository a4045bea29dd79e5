//! Shared by the tests: this engine for `session_sql_tests`, and that crate's functions on it.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use session_core::ErrorKind;
use session_mysql::{MySqlConfig, MySqlProvider};
use session_servers::compose;
use session_servers::mariadb::MariaDb;
use session_sql_tests::{Dialect, Engine, Mistake, Table};
use sqlx::MySqlConnection;

#[allow(unused_imports)]
pub use session_sql_tests::{behind_proxy, records::*};

/// MySQL and MariaDB. A test on the shared server has a table with a name of its own.
pub struct MySql;

impl Engine for MySql {
    session_sql_tests::provider!(MySqlProvider, MySqlConfig, MySqlConnection, MariaDb);

    const NAME: &'static str = "mysql";
    const DIALECT: Dialect = Dialect {
        without_tls: "ssl-mode=DISABLED",
        few_connections: &["--max-connections=10"],
        kill: "KILL USER session",
    };

    async fn empty(name: &str) -> String {
        empty(name).await
    }

    fn table(name: &str) -> String {
        name.to_owned()
    }

    fn mistakes(server: &MariaDb) -> Vec<Mistake> {
        let right = server.url();
        let config = |config, says| Mistake::new(config, ErrorKind::Config, says);
        let unavailable = |config| Mistake::new(config, ErrorKind::Unavailable, "no connection");
        vec![
            config(right.replace(":session@", ":hunter2@"), "user and password"),
            config(right.replace("//session:session", "//nobody:hunter2"), "user and password"),
            config(format!("{right}x"), "user and password"),
            config(format!("{}x", server.admin_url()), "no such database"),
            config(format!("{right}?tls=skip-verify"), "TLS"),
            unavailable("session:hunter2@tcp(127.0.0.1:1)/session"),
            unavailable("session:hunter2@unix(/nowhere/mysql.sock)/session"),
            unavailable("mysql://session:hunter2@nowhere.invalid/session"),
        ]
    }
}

/// Creates a table of this name on the shared server and returns its URL.
pub async fn start(name: &str) -> (String, MySqlProvider) {
    let (table, sessions) = Table::<MySql>::start(name).await;
    (table.url().to_owned(), sessions)
}

/// The same without the table.
pub async fn empty(name: &str) -> String {
    let server = compose::MYSQL.address();
    sql(&server, &format!("DROP TABLE IF EXISTS {name}")).await;
    place(name)
}

/// The URL of the table of this name.
pub fn place(name: &str) -> String {
    format!("{}?table={name}", compose::MYSQL.address())
}

/// A private server with the table `session`.
pub async fn start_private(options: &[&str]) -> (MariaDb, MySqlProvider) {
    Table::<MySql>::private(options).await
}

pub async fn connect(config: &str) -> MySqlProvider {
    connect_result(config).await.unwrap()
}

pub async fn connect_result(config: &str) -> session_core::Result<MySqlProvider> {
    MySql::connect(config).await
}

/// Runs statements without the provider.
pub async fn sql(url: &str, statements: &str) {
    session_sql_tests::sql::<MySql>(url, statements).await;
}

/// The first column of every row, as text.
pub async fn ask(url: &str, question: &str) -> Vec<String> {
    session_sql_tests::ask::<MySql>(url, question).await
}
