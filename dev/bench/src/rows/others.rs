//! The work and the sessions that are not the usual ones.

use std::io;

use session_servers::postgres::Postgres;
use session_servers::redis::Redis;

use crate::measure::Effort;
use crate::report::{Row, Section};
use crate::rows::local::in_memory;
use crate::rows::servers::{on_mysql, on_postgres, on_redis, start_mariadb};
use crate::thread::Thread;
use crate::work::{Job, Shape, Work};

/// One is larger, and then there are more of them.
const SHAPES: [Shape; 4] = [
    Shape { value: 4 * 1_024, keys: 1 },
    Shape { value: 64 * 1_024, keys: 1 },
    Shape { value: 240, keys: 10 },
    Shape { value: 240, keys: 100 },
];

/// MySQL's table of a peer takes no more.
const BLOB: usize = 64 * 1_024;

/// Measures these jobs on the engines of the usual deployments.
fn on_each(jobs: &[Job], effort: Effort) -> io::Result<Vec<Row>> {
    let redis = Redis::start()?;
    let postgres = Postgres::start_with(&["max_connections=300"])?;
    let mysql = start_mariadb(&["--max-connections=300"])?;
    let mut rows = Vec::new();
    for job in jobs {
        for engine in ["memory", "redis", "postgres", "mysql"] {
            let thread = Thread::new();
            let subjects = match engine {
                "memory" => in_memory(&thread, *job),
                "redis" => on_redis(&thread, &redis, *job),
                "postgres" => on_postgres(&thread, &postgres, *job),
                _ if job.shape.value >= BLOB => continue,
                _ => on_mysql(&thread, &mysql, *job),
            };
            rows.push(Row::measured(&job.title(engine), subjects, effort));
        }
    }
    Ok(rows)
}

/// Visitors without a session, new ids and logouts.
pub fn work(effort: Effort) -> io::Result<Vec<Section>> {
    let jobs = [Work::Anonymous, Work::Regenerate, Work::Destroy].map(Job::of);
    let rows = on_each(&jobs, effort)?;
    Ok(vec![Section::of_rows("work", "Visitors without a session, new ids, logouts", rows)])
}

/// Larger values, and more of them.
pub fn shapes(effort: Effort) -> io::Result<Vec<Section>> {
    let jobs = SHAPES
        .into_iter()
        .flat_map(|shape| [Work::Read, Work::ReadModifyWrite].map(|work| Job::of(work).shape(shape)));
    let rows = on_each(&jobs.collect::<Vec<_>>(), effort)?;
    Ok(vec![Section::of_rows("shapes", "Larger sessions", rows)])
}
