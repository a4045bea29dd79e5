//! A private PostgreSQL: user, password and database are all `session`, and the user may do everything.

use crate::packages::{Package, require};
use crate::process::{Launch, Process};
use std::io;

/// Where the server and its tools come from.
pub const PACKAGES: &[Package] = &[
    Package { name: "postgresql", binary: "postgres" },
    Package { name: "postgresql", binary: "initdb" },
    Package { name: "postgresql-client", binary: "psql" },
];

/// A PostgreSQL server of one test.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
}

impl Postgres {
    /// Starts a server with an empty database.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of its own, as in `&["max_connections=5"]`.
    pub fn start_with(settings: &[&str]) -> io::Result<Self> {
        let [server, initdb, psql] = [require(PACKAGES[0])?, require(PACKAGES[1])?, require(PACKAGES[2])?];
        let single_user = server.clone();
        // What lies in a test's database need not survive a power cut.
        let mut lines = vec!["fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1"];
        lines.extend(settings);
        let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        let launch = Launch::new("postgres", server)
            .user("postgres")
            .stop_signal(crate::process::Signal::INT) // "fast": TERM would wait for the clients to leave
            .prepare(move |place| {
                let data = place.path("data");
                std::fs::write(place.dir().join("password"), "session")?;
                let password = format!("--pwfile={}", place.path("password"));
                let how = [
                    "--username=session",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                ];
                place.run(&initdb, &[&["-D", &data, &password], &how[..]].concat(), "")?;
                place
                    .run(&single_user, &["--single", "-D", &data, "postgres"], "create database session;\n")
                    .map(drop)
            })
            .arguments(move |place| {
                let fixed =
                    ["-D", &place.path("data"), "-k", &place.path(""), "-p", &place.port().to_string()];
                let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
                arguments.extend(lines.iter().flat_map(|line| ["-c".to_owned(), line.clone()]));
                arguments
            })
            .ready(move |place| {
                place.run(&psql, &["-qXAt", "-c", "select 1", &url(place.port())], "").map(drop)
            });
        Ok(Self { process: launch.start()? })
    }

    /// How to connect: `postgres://session:session@127.0.0.1:PORT/session`.
    pub fn url(&self) -> String {
        url(self.process.port())
    }

    /// The process, to stop, kill, hang and restart it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// How to connect to a server, or a pooler, of that port.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://session:session@127.0.0.1:{port}/session")
}
