//! Bringing a large table up to date, while applications go on with it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use session_mysql::{MySqlConfig, MySqlProvider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::postgres::Postgres;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

use crate::measure::Effort;
use crate::report::{Section, Table, Verdict};
use crate::rows::collect::percentiles;
use crate::rows::servers::start_mariadb;
use crate::stored;
use crate::thread::Thread;

/// How many clients read and write meanwhile, and how long each of them waits between two
/// statements.
const CLIENTS: u32 = 8;
const THINKING: Duration = Duration::from_millis(5);
/// For how long they go on without a migration, before it.
const WITHOUT: Duration = Duration::from_secs(10);

/// No statement of the application takes longer, in milliseconds.
const LONGEST: f64 = 100.0;

/// As servers are by default, and unlike those of the tests: every commit is on the disk. Otherwise
/// the first change of a table, which flushes files in any case, also writes what was put off
/// before it.
const DURABLE_MARIADB: [&str; 3] =
    ["--innodb-flush-log-at-trx-commit=1", "--innodb-flush-log-at-timeout=1", "--innodb-flush-method=fsync"];
const DURABLE_POSTGRES: [&str; 3] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];

/// Both SQL engines, from the first version of their tables to the newest.
pub fn sql(effort: Effort) -> io::Result<Vec<Section>> {
    let rows = if effort.quick { 40_000 } else { 400_000 };
    let columns = [
        "engine",
        "migrated in, s",
        "statements without: p50, ms",
        "p99",
        "longest",
        "meanwhile: p50, ms",
        "p99",
        "longest",
    ];
    let mut table = Table::new(columns);
    let mut verdicts = Vec::new();
    for (engine, measured) in [("postgres", postgres(rows)?), ("mysql", mysql(rows)?)] {
        let Migrated { took, without, with } = measured;
        let mut line = vec![engine.to_owned(), format!("{:.1}", took.as_secs_f64())];
        for times in [&without, &with] {
            let (middle, high) = percentiles(times);
            line.extend([middle, high, longest(times)].map(|time| format!("{time:.2}")));
        }
        table.line(line);
        let longest = longest(&with);
        verdicts.push(Verdict {
            what: format!("{engine}: the longest statement of an application while its table is migrated"),
            measured: format!("{longest:.1} ms"),
            goal: format!("<= {LONGEST} ms"),
            met: longest <= LONGEST,
        });
    }
    let note = format!(
        "A table of version 1 with {rows} rows is migrated to the newest version, while {CLIENTS} clients read and update \
         rows by their keys, each with a pause of {} ms between two statements. The servers flush every commit to the disk, as \
         they do by default. Statements are timed by the client.",
        THINKING.as_millis()
    );
    let section = Section::new("migrating", "Migrating a table under load: SQL", table);
    Ok(vec![section.note(note).verdicts(verdicts)])
}

fn postgres(rows: u64) -> io::Result<Migrated> {
    let server = Postgres::start_with(&[&DURABLE_POSTGRES[..], &["shared_buffers=1GB"]].concat())?;
    let config: PostgresConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = PgPool::connect(&server.url()).await.map_err(io::Error::other)?;
        let first = include_str!("../../../../migrations/postgres/0001_session.sql");
        sqlx::raw_sql(first).execute(&pool).await.map_err(io::Error::other)?;
        let fill = "INSERT INTO session (session_key, session_data, session_expiry, version) \
                    SELECT encode(sha256(n::text::bytea), 'hex'), decode(repeat('00', 300), 'hex'), \
                    now() + (1 + random()) * interval '6 hours', n FROM generate_series(0, $1 - 1) AS n";
        sqlx::query(fill).bind(rows.cast_signed()).execute(&pool).await.map_err(io::Error::other)?;
        for settle in ["VACUUM ANALYZE session", "CHECKPOINT"] {
            sqlx::query(settle).execute(&pool).await.map_err(io::Error::other)?;
        }
        let provider = PostgresProvider::connect(config).await.map_err(io::Error::other)?;
        let statement = async |key: String, writes: bool| {
            let statement = if writes {
                "UPDATE session SET version = version + 1 WHERE session_key = $1::bpchar"
            } else {
                "SELECT session_data FROM session WHERE session_key = $1::bpchar"
            };
            sqlx::query(statement).bind(key).execute(&pool).await.map(|done| done.rows_affected())
        };
        migrate(rows, statement, async || provider.migrate().await.map_err(io::Error::other)).await
    })
}

fn mysql(rows: u64) -> io::Result<Migrated> {
    let server = start_mariadb(&DURABLE_MARIADB)?;
    let config: MySqlConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = MySqlPool::connect(&server.admin_url()).await.map_err(io::Error::other)?;
        let first = include_str!("../../../../migrations/mysql/0001_session.sql");
        sqlx::raw_sql(first).execute(&pool).await.map_err(io::Error::other)?;
        let fill = format!(
            "INSERT INTO session (session_key, session_data, session_expiry, version) \
             SELECT sha2(seq, 256), repeat('0', 300), (UNIX_TIMESTAMP() + 21600 * (1 + rand())) * 1000, seq \
             FROM seq_0_to_{}",
            rows - 1
        );
        sqlx::query(sqlx::AssertSqlSafe(fill)).execute(&pool).await.map_err(io::Error::other)?;
        let provider = MySqlProvider::connect(config).await.map_err(io::Error::other)?;
        let statement = async |key: String, writes: bool| {
            let statement = if writes {
                "UPDATE session SET version = version + 1 WHERE session_key = ?"
            } else {
                "SELECT session_data FROM session WHERE session_key = ?"
            };
            sqlx::query(statement).bind(key).execute(&pool).await.map(|done| done.rows_affected())
        };
        migrate(rows, statement, async || provider.migrate().await.map_err(io::Error::other)).await
    })
}

/// How long a migration took, and the statements without and beside it, in milliseconds.
struct Migrated {
    took: Duration,
    without: Vec<f64>,
    with: Vec<f64>,
}

/// Lets clients go on, and migrates.
async fn migrate(
    rows: u64,
    statement: impl AsyncFn(String, bool) -> sqlx::Result<u64>,
    migration: impl AsyncFn() -> io::Result<()>,
) -> io::Result<Migrated> {
    let times = Rc::new(RefCell::new(Vec::<f64>::new()));
    let client = async |number: u32| {
        for turn in 0_u64.. {
            let key = stored::id(stored::scattered(turn * u64::from(CLIENTS) + u64::from(number), rows));
            let begun = Instant::now();
            let writes = turn % 2 == 0;
            match statement(key.to_text(), writes).await {
                Err(error) => return io::Error::other(error),
                Ok(0) if writes => return io::Error::other("a row of the table was not found"),
                Ok(_) => {}
            }
            times.borrow_mut().push(begun.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(THINKING).await;
        }
        unreachable!("turns do not end")
    };
    let clients = futures_util::future::select_all((0..CLIENTS).map(|number| Box::pin(client(number))));
    let work = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        times.take();
        tokio::time::sleep(WITHOUT).await;
        let without = times.take();
        let begun = Instant::now();
        migration().await?;
        Ok(Migrated { took: begun.elapsed(), without, with: times.take() })
    };
    tokio::select! {
        migrated = work => migrated,
        (error, ..) = clients => Err(error),
    }
}

fn longest(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::NAN, f64::max)
}
