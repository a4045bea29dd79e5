//! The servers of the tests: containers if Docker is available, otherwise child processes.

use crate::interrupt::Interrupt;
use crate::tools::works;
use session_servers::chromium;
use session_servers::compose::{self, Service};
use session_servers::couchbase::{self, CouchbaseMock};
use session_servers::mariadb::{self, MariaDb};
use session_servers::memcached::{self, Memcached};
use session_servers::mysql::MySql;
use session_servers::packages::Package;
use session_servers::pgbouncer::{self, PgBouncer};
use session_servers::postgres::{self, Postgres};
use session_servers::redis::{self, Cluster, Redis, Sentinels};
use std::io;
use std::process::{Command, ExitCode};
use std::thread;

/// The packages of the servers (the shared ones here, and the tests' private ones).
pub const PACKAGES: &[&[Package]] = &[
    postgres::PACKAGES,
    pgbouncer::PACKAGES,
    mariadb::PACKAGES,
    memcached::PACKAGES,
    couchbase::PACKAGES,
    redis::PACKAGES,
    chromium::PACKAGES,
];

/// Starts one server and returns its address. A new kind of server needs a line here and one in
/// [`PACKAGES`].
const LOCAL: &[fn() -> io::Result<Local>] = &[
    || {
        let server = Postgres::start_with(&["max_connections=300"])?;
        let port = server.process().port();
        let sessions = PgBouncer::start(port, &["default_pool_size=100"])?;
        let transactions = PgBouncer::start(port, &["pool_mode=transaction", "default_pool_size=10"])?;
        let addresses = vec![
            (compose::POSTGRES, server.url()),
            (compose::PGBOUNCER_SESSION, sessions.url()),
            (compose::PGBOUNCER_TRANSACTION, transactions.url()),
        ];
        Ok(Local { addresses, _server: Box::new((sessions, transactions, server)) })
    },
    || {
        let server = MariaDb::start_with(&["--max-connections=300"])?;
        let mysql = MySql::start()?;
        if mysql.is_none() {
            eprintln!("no MySQL found, using MariaDB instead; SESSION_TEST_MYSQLD may name a mysqld");
        }
        let itself = mysql.as_ref().map_or_else(|| server.url(), MySql::url);
        let addresses = vec![
            (compose::MYSQL, server.url()),
            (compose::MYSQL_ADMIN, server.admin_url()),
            (compose::MYSQL_ITSELF, itself),
        ];
        Ok(Local { addresses, _server: Box::new((mysql, server)) })
    },
    || {
        let servers = [Memcached::start()?, Memcached::start()?, Memcached::start()?];
        let address = |server: &Memcached| server.process().address().to_string();
        let three = servers.iter().map(address).collect::<Vec<_>>().join(";");
        let addresses = vec![(compose::MEMCACHE, address(&servers[0])), (compose::MEMCACHE_THREE, three)];
        Ok(Local { addresses, _server: Box::new(servers) })
    },
    || {
        let server = Redis::start()?;
        Ok(Local { addresses: vec![(compose::REDIS, server.url())], _server: Box::new(server) })
    },
    || {
        // From a wheel, which may be unavailable: without it only the tests of this server fail.
        let server = Redis::start_6_2(&[]).inspect_err(|error| eprintln!("note: {error}")).ok();
        let addresses = server.iter().map(|server| (compose::REDIS_6_2, server.url())).collect();
        Ok(Local { addresses, _server: Box::new(server) })
    },
    || {
        let server = Redis::start_8_6(&[]).inspect_err(|error| eprintln!("note: {error}")).ok();
        let addresses = server.iter().map(|server| (compose::REDIS_8_6, server.url())).collect();
        Ok(Local { addresses, _server: Box::new(server) })
    },
    || {
        let server = Redis::start_valkey(&[])?;
        Ok(Local { addresses: vec![(compose::VALKEY, server.url())], _server: Box::new(server) })
    },
    || {
        let server = Cluster::start()?;
        Ok(Local { addresses: vec![(compose::REDIS_CLUSTER, server.url())], _server: Box::new(server) })
    },
    || {
        let server = Sentinels::start()?;
        Ok(Local { addresses: vec![(compose::REDIS_SENTINEL, server.url())], _server: Box::new(server) })
    },
    || {
        let server = CouchbaseMock::start()?;
        Ok(Local { addresses: vec![(compose::COUCHBASE, server.url())], _server: Box::new(server) })
    },
];

/// A server (or a set-up of several) that runs as a child process until dropped.
pub struct Local {
    addresses: Vec<(Service, String)>,
    _server: Box<dyn Send>,
}

/// The running servers. Dropping it stops them.
pub enum Services {
    Containers,
    Processes(Vec<Local>),
}

/// Whether containers can be run here.
pub fn docker() -> bool {
    works("docker", &["version", "--format", "{{.Server.Version}}"])
        && works("docker", &["compose", "version"])
}

fn docker_compose(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(["compose", "--project-name", "session-test"]).args(arguments);
    command
}

impl Services {
    /// Starts every server and waits until all are up.
    pub fn start(interrupt: &Interrupt) -> io::Result<Self> {
        if docker() {
            eprintln!("starting the containers of docker-compose.yml");
            let services = Self::Containers; // from here on they are removed in any case
            let status = interrupt.run(&mut docker_compose(&["up", "--detach", "--wait"]))?;
            return if status.success() {
                Ok(services)
            } else {
                Err(io::Error::other(format!("docker compose up: {status}")))
            };
        }
        eprintln!("Docker is not available: starting the servers as child processes");
        let started: io::Result<Vec<Local>> = thread::scope(|scope| {
            let starting: Vec<_> = LOCAL.iter().map(|start| scope.spawn(start)).collect();
            let panicked = |_| Err(io::Error::other("starting a server panicked"));
            starting.into_iter().map(|start| start.join().unwrap_or_else(panicked)).collect()
        });
        Ok(Self::Processes(started?))
    }

    /// The environment that tells the tests where the servers are.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Containers => {
                compose::ALL.iter().map(|each| (each.variable, each.default.to_owned())).collect()
            }
            Self::Processes(servers) => {
                let addresses = servers.iter().flat_map(|server| &server.addresses);
                addresses.map(|(service, address)| (service.variable, address.clone())).collect()
            }
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if matches!(self, Self::Containers) {
            let _ = docker_compose(&["down", "--volumes", "--timeout", "2"]).status();
        }
    }
}

/// `cargo xtask services`: keeps the servers until Ctrl-C.
pub fn run() -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    crate::test::install()?;
    let services = Services::start(&interrupt)?;
    for (name, value) in services.environment() {
        println!("export {name}='{value}'");
    }
    eprintln!("the servers run until Ctrl-C");
    interrupt.wait();
    Ok(ExitCode::SUCCESS)
}
