//! Requests on the engines with a server: the subjects of each, and the usual work.

use std::io;

use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool};
use redis_pool::SingleRedisPool;
use session_couchbase::CouchbaseProvider;
use session_memcache::MemcacheProvider;
use session_mysql::{MySqlConfig, MySqlProvider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_servers::couchbase::{ARTIFACT, CouchbaseMock};
use session_servers::mariadb::MariaDb;
use session_servers::memcached::{self, Memcached};
use session_servers::postgres::Postgres;
use session_servers::redis::Redis;
use sqlx::mysql::{MySql, MySqlPoolOptions};
use sqlx::postgres::PgPoolOptions;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::clients::Client;
use tower_sessions_redis_store::fred::interfaces::ClientLike as _;
use tower_sessions_redis_store::fred::types::config::Config;
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore, sqlx as older_sqlx};

use crate::measure::{Effort, Subject};
use crate::peers::{self, actix, axum_session, raw};
use crate::report::{Row, Section};
use crate::thread::Thread;
use crate::work::{Job, Shape, Work};

/// Starts MariaDB with additional options. It has one core, where spinning for a lock only blocks
/// its holder; with the default sizes of log and buffer it stops for seconds to flush pages; and
/// while its log is flushed, once a second, every writer waits, which would measure the disk.
pub fn start_mariadb(options: &[&str]) -> io::Result<MariaDb> {
    const ALWAYS: [&str; 5] = [
        "--innodb-sync-spin-loops=0",
        "--innodb-spin-wait-delay=0",
        "--innodb-buffer-pool-size=1G",
        "--innodb-log-file-size=1G",
        "--innodb-flush-log-at-timeout=2700",
    ];
    MariaDb::start_with(&[&ALWAYS, options].concat())
}

/// The maximum number of connections of a pool.
pub const CONNECTIONS: u32 = 16;

/// The usual work, by one client and by sixteen.
pub fn usual(engine: &str, effort: Effort, subjects: impl Fn(&Thread, Job) -> Vec<Subject>) -> Vec<Row> {
    let jobs = [1, 16].into_iter().flat_map(|clients| Work::USUAL.map(|work| Job::of(work).clients(clients)));
    let measured = |job: Job| {
        let thread = Thread::new();
        Row::measured(&job.title(engine), subjects(&thread, job), effort)
    };
    jobs.map(measured).collect()
}

/// Redis.
pub fn redis(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Redis::start()?;
    let rows = usual("redis", effort, |thread, job| on_redis(thread, &server, job));
    let version = server.cli(&["INFO", "server"])?;
    let version = version.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown");
    Ok(vec![Section::of_rows("redis", "Redis", rows).note(format!("Redis {}.", version.trim()))])
}

/// Redis 8.6, which compares digests: writes over a record. Larger ones are written as on Redis 7.
pub fn redis_8(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Redis::start_8_6(&[])?;
    let rows = [240, 4 * 1_024].map(|value| {
        let thread = Thread::new();
        let job = Job::of(Work::ReadModifyWrite).shape(Shape { value, keys: 1 });
        Row::measured(&job.title("redis-8.6"), on_redis(&thread, &server, job), effort)
    });
    Ok(vec![Section::of_rows("redis-8", "Redis 8.6", rows.into())])
}

/// All subjects with sessions in Redis.
pub fn on_redis(thread: &Thread, server: &Redis, job: Job) -> Vec<Subject> {
    let mut subjects = vec![peers::floor(thread, job), peers::ours(thread, our_redis(thread, server), job)];
    subjects.extend(peers_on_redis(thread, server, job));
    let url = server.url();
    if Work::USUAL.contains(&job.work) {
        subjects.extend(raw::subjects(thread, job, || raw::redis::clients(&url, job)));
    }
    subjects
}

/// This project's engine.
pub fn our_redis(thread: &Thread, server: &Redis) -> RedisProvider {
    let config: RedisConfig = server.url().parse().expect("a URL");
    thread.block_on(config.connect()).expect("connected")
}

/// The other libraries with sessions in Redis.
pub fn peers_on_redis(thread: &Thread, server: &Redis, job: Job) -> Vec<Subject> {
    let url = server.url();
    let axum_session = thread.block_on(async {
        let pool = redis::Client::open(url.as_str()).expect("a URL");
        axum_session::on(SessionRedisPool::from(SingleRedisPool::from(pool)), job.shape).await
    });
    vec![
        tower_sessions_on_redis(thread, server, job),
        peers::with_axum_session(thread, axum_session, job),
        actix::redis(thread, &url, job),
    ]
}

/// `tower-sessions` over one connection, on which `fred` sends concurrent commands in one packet.
pub fn tower_sessions_on_redis(thread: &Thread, server: &Redis, job: Job) -> Subject {
    let store = thread.block_on(async {
        let fred = Client::new(Config::from_url(&server.url()).expect("a URL"), None, None, None);
        fred.init().await.expect("connected");
        RedisStore::new(fred)
    });
    peers::with_tower_sessions(thread, store, job)
}

/// PostgreSQL.
pub fn postgres(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Postgres::start_with(&["max_connections=300"])?;
    let rows = usual("postgres", effort, |thread, job| on_postgres(thread, &server, job));
    let version = Thread::new().block_on(async {
        let pool = PgPoolOptions::new().connect(&server.url()).await?;
        sqlx::query_scalar::<_, String>("SHOW server_version").fetch_one(&pool).await
    });
    let note = format!("PostgreSQL {}, `fsync=off`.", version.map_err(io::Error::other)?);
    Ok(vec![Section::of_rows("postgres", "PostgreSQL", rows).note(note)])
}

/// All subjects with sessions in PostgreSQL.
pub fn on_postgres(thread: &Thread, server: &Postgres, job: Job) -> Vec<Subject> {
    let provider = postgres_provider(thread, server);
    let mut subjects = vec![peers::floor(thread, job), peers::ours(thread, provider, job)];
    subjects.extend(peers_on_postgres(thread, server, job));
    if Work::USUAL.contains(&job.work) {
        let url = server.url();
        let clients = || raw::sql::clients::<sqlx::Postgres>(&url, raw::sql::POSTGRES, job);
        subjects.extend(raw::subjects(thread, job, clients));
    }
    subjects
}

/// This project's engine.
pub fn postgres_provider(thread: &Thread, server: &Postgres) -> PostgresProvider {
    let config: PostgresConfig = server.url().parse().expect("a URL");
    let config = config.max_connections(CONNECTIONS).migrate(true);
    thread.block_on(PostgresProvider::connect(config)).expect("connected")
}

/// The other libraries with sessions in PostgreSQL.
pub fn peers_on_postgres(thread: &Thread, server: &Postgres, job: Job) -> Vec<Subject> {
    let url = server.url();
    let (tower_sessions, axum_session) = thread.block_on(async {
        let pool = older_sqlx::postgres::PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = pool.test_before_acquire(false).connect(&url).await.expect("connected");
        let store = PostgresStore::new(pool);
        store.migrate().await.expect("a table");
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = SessionPgPool::from(pool.connect(&url).await.expect("connected"));
        (store, axum_session::on(pool, job.shape).await)
    });
    vec![
        peers::with_tower_sessions(thread, tower_sessions, job),
        peers::with_axum_session(thread, axum_session, job),
    ]
}

/// MariaDB.
pub fn mysql(effort: Effort) -> io::Result<Vec<Section>> {
    let server = start_mariadb(&["--max-connections=300"])?;
    let rows = usual("mysql", effort, |thread, job| on_mysql(thread, &server, job));
    let version = Thread::new().block_on(async {
        let pool = MySqlPoolOptions::new().connect(&server.url()).await?;
        sqlx::query_scalar::<_, String>("SELECT version()").fetch_one(&pool).await
    });
    let version = version.map_err(io::Error::other)?;
    let note = format!(
        "{version}, `innodb-flush-log-at-trx-commit=2`, `innodb-flush-log-at-timeout=2700` and \
         `innodb-flush-method=nosync`, so that nothing waits for the disk; buffer and log of 1 GB, no spinning."
    );
    Ok(vec![Section::of_rows("mysql", "MySQL and MariaDB", rows).note(note)])
}

/// All subjects with sessions in MariaDB.
pub fn on_mysql(thread: &Thread, server: &MariaDb, job: Job) -> Vec<Subject> {
    let url = server.url();
    let (ours, tower_sessions, axum_session) = thread.block_on(async {
        let config: MySqlConfig = url.parse().expect("a URL");
        let config = config.max_connections(CONNECTIONS).migrate(true);
        let pool = older_sqlx::mysql::MySqlPoolOptions::new().max_connections(CONNECTIONS);
        // It creates its own database, which only the administrator may do.
        let pool = pool.test_before_acquire(false).connect(&server.admin_url()).await.expect("connected");
        let store = MySqlStore::new(pool);
        store.migrate().await.expect("a table");
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = SessionMySqlPool::from(pool.connect(&url).await.expect("connected"));
        let ours = MySqlProvider::connect(config).await.expect("connected");
        (ours, store, axum_session::on(pool, job.shape).await)
    });
    let mut subjects = vec![
        peers::floor(thread, job),
        peers::ours(thread, ours, job),
        peers::with_tower_sessions(thread, tower_sessions, job),
        peers::with_axum_session(thread, axum_session, job),
    ];
    if Work::USUAL.contains(&job.work) {
        let clients = || raw::sql::clients::<MySql>(&url, raw::sql::MYSQL, job);
        subjects.extend(raw::subjects(thread, job, clients));
    }
    subjects
}

/// memcached.
pub fn memcached(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Memcached::start()?;
    let rows = usual("memcached", effort, |thread, job| {
        let address = server.process().address().to_string();
        let provider = MemcacheProvider::new(&server.url().parse().expect("a URL"));
        let mut subjects = vec![peers::floor(thread, job), peers::ours(thread, provider, job)];
        subjects.extend(raw::subjects(thread, job, || raw::memcached::clients(&address, job)));
        subjects
    });
    let version = memcached::ask(server.process().address(), "version")?.join(" ");
    let note = format!("memcached {}.", version.trim_start_matches("VERSION "));
    Ok(vec![Section::of_rows("memcached", "memcached", rows).note(note)])
}

/// Couchbase's own test server.
pub fn couchbase(effort: Effort) -> io::Result<Vec<Section>> {
    let server = CouchbaseMock::start()?;
    let rows = usual("couchbase", effort, |thread, job| {
        let config = server.url().parse().expect("a URL");
        let provider = thread.block_on(CouchbaseProvider::connect(config)).expect("connected");
        let mut subjects = vec![peers::floor(thread, job), peers::ours(thread, provider, job)];
        subjects.extend(raw::subjects(thread, job, || raw::couchbase::clients(&server, job)));
        subjects
    });
    let note = format!(
        "`{ARTIFACT}`, a test server in Java, whose times differ from a real server's. It uses Nagle's \
        algorithm: the last responses to several clients arrive 40 ms late, once in each repetition, which \
        dominates the rows of 16 clients."
    );
    Ok(vec![Section::of_rows("couchbase", "Couchbase", rows).note(note)])
}
