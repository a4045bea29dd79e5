//! A private `PgBouncer` in front of a PostgreSQL server, set up as Debian's package is.

use crate::packages::{Package, require};
use crate::postgres;
use crate::process::{Launch, Process};
use std::io;

/// Where the pooler and the tool that asks it come from.
pub const PACKAGES: &[Package] = &[
    Package { name: "pgbouncer", binary: "pgbouncer" },
    Package { name: "postgresql-client", binary: "psql" },
];

/// A `PgBouncer` of one test.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
}

impl PgBouncer {
    /// Starts a pooler in front of the server on this port of the loopback; user and password are
    /// `session`.
    ///
    /// Settings are added to those of Debian's package, as in `&["pool_mode=transaction"]`. Without
    /// any it pools whole sessions and lets no startup parameters pass but those that it knows.
    pub fn start(server: u16, settings: &[&str]) -> io::Result<Self> {
        let [pgbouncer, psql] = [require(PACKAGES[0])?, require(PACKAGES[1])?];
        let settings = settings.join("\n");
        let launch = Launch::new("pgbouncer", pgbouncer)
            .user("postgres")
            .stop_signal(crate::process::Signal::TERM)
            .prepare(move |place| {
                let users = place.dir().join("userlist.txt");
                std::fs::write(&users, "\"session\" \"session\"\n")?;
                let file = format!(
                    "[databases]\n* = host=127.0.0.1 port={server}\n\n[pgbouncer]\n\
                     listen_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
                     auth_type = md5\nauth_file = {}\n{settings}\n",
                    place.port(),
                    users.display(),
                );
                std::fs::write(place.dir().join("pgbouncer.ini"), file)
            })
            .arguments(|place| vec![place.path("pgbouncer.ini")])
            .ready(move |place| {
                place.run(&psql, &["-qXAt", "-c", "select 1", &postgres::url(place.port())], "").map(drop)
            });
        Ok(Self { process: launch.start()? })
    }

    /// How to connect: `postgres://session:session@127.0.0.1:PORT/session`.
    pub fn url(&self) -> String {
        postgres::url(self.process.port())
    }

    /// The process, to stop, kill, hang and restart it.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
