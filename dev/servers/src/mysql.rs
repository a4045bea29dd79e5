//! A private MySQL, where the machine has one: Debian packages only MariaDB. User, password and
//! database are all `session`.

use crate::process::{Launch, Process};
use std::env;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// As the container of `docker-compose.yml` sets itself up.
const SET_UP: &str = "\
    CREATE DATABASE IF NOT EXISTS session CHARACTER SET utf8mb4;\n\
    CREATE USER IF NOT EXISTS session@'%' IDENTIFIED BY 'session';\n\
    GRANT ALL ON session.* TO session@'%';\n";

/// The path of a `mysqld` that is MySQL's own: what `SESSION_TEST_MYSQLD` says, or one in the usual
/// places.
pub fn find() -> Option<PathBuf> {
    let usual = ["/usr/sbin/mysqld", "/usr/local/mysql/bin/mysqld", "/usr/local/bin/mysqld"];
    let named = env::var_os("SESSION_TEST_MYSQLD").map(PathBuf::from);
    named.into_iter().chain(usual.map(PathBuf::from)).find(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|said| {
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            said.contains("Ver ") && !said.contains("MariaDB")
        })
    })
}

/// A MySQL server of one test.
#[derive(Debug)]
pub struct MySql {
    process: Process,
}

impl MySql {
    /// Starts a server with an empty database; `None` where there is no MySQL.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(server) = find() else { return Ok(None) };
        let install = server.clone();
        let launch = Launch::new("mysql", server)
            .user("mysql")
            .prepare(move |place| {
                std::fs::write(place.dir().join("set-up.sql"), SET_UP)?;
                let data = format!("--datadir={}", place.path("data"));
                place.run(&install, &["--no-defaults", "--initialize-insecure", &data], "").map(drop)
            })
            .arguments(|place| {
                vec![
                    "--no-defaults".to_owned(),
                    format!("--datadir={}", place.path("data")),
                    format!("--init-file={}", place.path("set-up.sql")),
                    format!("--socket={}", place.path("mysql.sock")),
                    format!("--pid-file={}", place.path("mysql.pid")),
                    format!("--port={}", place.port()),
                    "--bind-address=127.0.0.1".to_owned(),
                    "--mysqlx=OFF".to_owned(),
                    "--max-connections=300".to_owned(),
                    "--innodb-flush-log-at-trx-commit=2".to_owned(),
                ]
            });
        Ok(Some(Self { process: launch.start()? }))
    }

    /// How to connect: `mysql://session:session@127.0.0.1:PORT/session`.
    pub fn url(&self) -> String {
        format!("mysql://session:session@127.0.0.1:{}/session", self.process.port())
    }
}
