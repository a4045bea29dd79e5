//! Shared by the tests: this engine for `session_sql_tests`, and that crate's functions on it.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use session_core::ErrorKind;
use session_mysql::{MySqlConfig, MySqlProvider};
use session_servers::compose;
use session_servers::mariadb::MariaDb;
use session_sql_tests::{Dialect, Engine, Mistake};
use sqlx::MySqlConnection;

#[allow(unused_imports)]
pub use session_sql_tests::{behind_proxy, records::*};

/// MySQL and MariaDB. A test on the shared server has a table with a name of its own.
pub struct MySql;

session_sql_tests::shortcuts!(MySql);

impl Engine for MySql {
    session_sql_tests::provider!(MySqlProvider, MySqlConfig, MySqlConnection, MariaDb);

    const NAME: &'static str = "mysql";
    const DIALECT: Dialect = Dialect {
        without_tls: "ssl-mode=DISABLED",
        few_connections: &["--max-connections=10"],
        short_lock_timeout: &["--innodb-lock-wait-timeout=1"],
        kill: "KILL USER session",
        connections: "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.processlist \
                      WHERE user = 'session'",
        rotate_password: "ALTER USER session@'%' IDENTIFIED BY 'rotated'",
        most_of_a_pool_of_four: 4,
        text: "CHAR",
        past: "1000",
        future: "4000000000000",
        forever: "18446744073709551615",
        millis_left: "session_expiry - UNIX_TIMESTAMP(NOW(3)) * 1000",
    };

    async fn empty(name: &str) -> String {
        empty(name).await
    }

    fn table(name: &str) -> String {
        name.to_owned()
    }

    fn hex(column: &str) -> String {
        format!("HEX({column})")
    }

    fn bytes(digits: &str) -> String {
        format!("x'{digits}'")
    }

    fn sha256(expression: &str) -> String {
        format!("UNHEX(SHA2({expression}, 256))")
    }

    fn insert_many(table: &str, data: &str, of_ada: usize, of_others: usize) -> String {
        format!(
            "INSERT INTO {table} (session_key, session_data, session_expiry, collect_after, version, owner)
             WITH RECURSIVE digit AS (SELECT 0 AS d UNION ALL SELECT d + 1 FROM digit WHERE d < 9),
                 hundred AS (SELECT a.d + 10 * b.d AS h FROM digit a JOIN digit b),
                 number AS (SELECT a.h + 100 * b.h + 10000 * c.h AS n
                     FROM hundred a JOIN hundred b JOIN hundred c WHERE c.h < 11)
             SELECT SHA2(n, 256), {data}, 4000000000000, 4000000000000, n,
                 UNHEX(SHA2(IF(n < {of_ada}, 'ada', n), 256))
             FROM number WHERE n < {of_ada} + {of_others}"
        )
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

/// Removes the table of this name from the shared server; returns the URL for a new one.
pub async fn empty(name: &str) -> String {
    let server = compose::MYSQL.address();
    sql(&server, &format!("DROP TABLE IF EXISTS {name}")).await;
    place(name)
}

/// The URL of the table of this name.
pub fn place(name: &str) -> String {
    format!("{}?table={name}", compose::MYSQL.address())
}
