//! A private MariaDB: user, password and database are all `session`; `root` has the same password.

use crate::packages::{Package, require};
use crate::process::{Launch, Process};
use std::io;

/// Where the server and its tools come from.
pub const PACKAGES: &[Package] = &[
    Package { name: "mariadb-server", binary: "mariadbd" },
    Package { name: "mariadb-server", binary: "mariadb-install-db" },
    Package { name: "mariadb-client", binary: "mariadb" },
];

/// As the container of `docker-compose.yml` sets itself up: the user owns the database, `root` the server.
const SET_UP: &str = "\
    CREATE DATABASE IF NOT EXISTS session CHARACTER SET utf8mb4;\n\
    CREATE USER IF NOT EXISTS session@'%' IDENTIFIED BY 'session';\n\
    GRANT ALL ON session.* TO session@'%';\n\
    CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY 'session';\n\
    GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n\
    ALTER USER root@localhost IDENTIFIED BY 'session';\n\
    DROP USER IF EXISTS root@'127.0.0.1', root@'::1', ''@localhost;\n";

/// A MariaDB server of one test.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
}

impl MariaDb {
    /// Starts a server with an empty database.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with options of its own, as in `&["--max-connections=5"]`.
    pub fn start_with(options: &[&str]) -> io::Result<Self> {
        let [server, install, client] = [require(PACKAGES[0])?, require(PACKAGES[1])?, require(PACKAGES[2])?];
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let launch = Launch::new("mariadb", server)
            .user("mysql")
            .prepare(move |place| {
                let data = format!("--datadir={}", place.path("data"));
                std::fs::write(place.dir().join("set-up.sql"), SET_UP)?;
                let how =
                    ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"];
                // A server that starts clears the temporary tables of all others away from a shared place.
                let temporary = format!("--tmpdir={}", place.path(""));
                place.run(&install, &[&["--no-defaults", &data, &temporary], &how[..]].concat(), "").map(drop)
            })
            .arguments(move |place| {
                let mut arguments = vec![
                    "--no-defaults".to_owned(),
                    format!("--datadir={}", place.path("data")),
                    format!("--tmpdir={}", place.path("")),
                    format!("--init-file={}", place.path("set-up.sql")),
                    format!("--socket={}", place.path("mysql.sock")),
                    format!("--pid-file={}", place.path("mysql.pid")),
                    format!("--port={}", place.port()),
                ];
                let fixed = [
                    "--bind-address=127.0.0.1",
                    "--skip-name-resolve",
                    // What lies in a test's database need not survive a power cut.
                    "--innodb-flush-log-at-trx-commit=2",
                    "--innodb-flush-method=nosync",
                ];
                arguments.extend(fixed.map(str::to_owned));
                arguments.extend(options.iter().cloned());
                arguments
            })
            .ready(move |place| {
                let port = format!("--port={}", place.port());
                let who = [
                    "--host=127.0.0.1",
                    "--user=session",
                    "--password=session",
                    "--execute=SELECT 1",
                    "session",
                ];
                place.run(&client, &[&["--no-defaults", &port], &who[..]].concat(), "").map(drop)
            });
        Ok(Self { process: launch.start()? })
    }

    /// How to connect: `mysql://session:session@127.0.0.1:PORT/session`.
    pub fn url(&self) -> String {
        format!("mysql://session:session@127.0.0.1:{}/session", self.process.port())
    }

    /// The same as `root`, who may read the server's counters and kill connections.
    pub fn admin_url(&self) -> String {
        format!("mysql://root:session@127.0.0.1:{}/session", self.process.port())
    }

    /// The process, to stop, kill, hang and restart it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
