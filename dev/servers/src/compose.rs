//! The addresses of the suites' shared servers.
//!
//! `cargo xtask test` starts the servers and sets environment variables with their addresses. A
//! test that is run without it uses the server's address in `docker-compose.yml`:
//! `docker compose up -d --wait`.

use std::env;

/// One shared server, or one set-up of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The environment variable with its address.
    pub variable: &'static str,
    /// Its address in `docker-compose.yml`.
    pub default: &'static str,
}

impl Service {
    /// Its address in the format of its engine's configuration: from the environment, or the
    /// default.
    pub fn address(&self) -> String {
        env::var(self.variable).unwrap_or_else(|_| self.default.to_owned())
    }
}

const fn service(variable: &'static str, default: &'static str) -> Service {
    Service { variable, default }
}

/// PostgreSQL; the user is a superuser.
pub const POSTGRES: Service =
    service("SESSION_TEST_POSTGRES", "postgres://session:session@127.0.0.1:13432/session");

/// The same server through `PgBouncer`, which pools whole sessions.
pub const PGBOUNCER_SESSION: Service =
    service("SESSION_TEST_PGBOUNCER_SESSION", "postgres://session:session@127.0.0.1:13433/session");

/// The same server through `PgBouncer`, which pools transactions.
pub const PGBOUNCER_TRANSACTION: Service =
    service("SESSION_TEST_PGBOUNCER_TRANSACTION", "postgres://session:session@127.0.0.1:13434/session");

/// MariaDB; the user owns the database.
pub const MYSQL: Service = service("SESSION_TEST_MYSQL", "mysql://session:session@127.0.0.1:13306/session");

/// MySQL itself, if available as a container or as a `mysqld` that is not MariaDB's; otherwise
/// MariaDB.
pub const MYSQL_ITSELF: Service =
    service("SESSION_TEST_MYSQL_ITSELF", "mysql://session:session@127.0.0.1:13307/session");

/// The MariaDB server as `root`, who may read its counters and kill connections.
pub const MYSQL_ADMIN: Service =
    service("SESSION_TEST_MYSQL_ADMIN", "mysql://root:session@127.0.0.1:13306/session");

/// One Redis server.
pub const REDIS: Service = service("SESSION_TEST_REDIS", "redis://:session@127.0.0.1:13379");

/// One Redis server of the oldest version that is supported, 6.2.
pub const REDIS_6_2: Service = service("SESSION_TEST_REDIS_6_2", "redis://:session@127.0.0.1:13362");

/// One Redis server that compares digests, which Redis 8.4 introduced.
pub const REDIS_8_6: Service = service("SESSION_TEST_REDIS_8_6", "redis://:session@127.0.0.1:13386");

/// One Valkey server.
pub const VALKEY: Service = service("SESSION_TEST_VALKEY", "redis://:session@127.0.0.1:13380");

/// A Redis cluster of three masters and three replicas.
pub const REDIS_CLUSTER: Service = service(
    "SESSION_TEST_REDIS_CLUSTER",
    "redis+cluster://:session@127.0.0.1:13001,127.0.0.1:13002,127.0.0.1:13003",
);

/// Three sentinels, which watch a master `mymaster` and its replica.
pub const REDIS_SENTINEL: Service = service(
    "SESSION_TEST_REDIS_SENTINEL",
    "redis+sentinel://:session@127.0.0.1:13395,127.0.0.1:13396,127.0.0.1:13397/mymaster",
);

/// One memcached server.
pub const MEMCACHE: Service = service("SESSION_TEST_MEMCACHE", "127.0.0.1:13211");

/// Three independent memcached servers.
pub const MEMCACHE_THREE: Service =
    service("SESSION_TEST_MEMCACHE_THREE", "127.0.0.1:13211;127.0.0.1:13212;127.0.0.1:13213");

/// One Couchbase node with the bucket `session`.
pub const COUCHBASE: Service = service("SESSION_TEST_COUCHBASE", "http://session:session@127.0.0.1:8091");

/// All of them.
pub const ALL: &[Service] = &[
    POSTGRES,
    PGBOUNCER_SESSION,
    PGBOUNCER_TRANSACTION,
    MYSQL,
    MYSQL_ADMIN,
    MYSQL_ITSELF,
    REDIS,
    REDIS_6_2,
    REDIS_8_6,
    VALKEY,
    REDIS_CLUSTER,
    REDIS_SENTINEL,
    MEMCACHE,
    MEMCACHE_THREE,
    COUCHBASE,
];
