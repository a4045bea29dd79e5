//! Many writers on one session: does everybody get on, and is the total exact?

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_conformance::layers::{Method, Spy};
use session_core::id::Token;
use session_core::{Manager, Provider};
use session_memory::MemoryProvider;
use session_postgres::{PostgresConfig, PostgresProvider};
use session_redis::RedisConfig;
use session_servers::postgres::Postgres;
use session_servers::redis::Redis;

use crate::measure::Effort;
use crate::report::{Plot, Section, Table, Verdict};
use crate::rows::collect::percentiles;
use crate::thread::Thread;
use crate::work::COUNT;

const WRITERS: [usize; 4] = [1, 4, 16, 64];

/// Adds one to a counter of one session, from 1 to 64 processes.
pub fn writers(effort: Effort) -> io::Result<Vec<Section>> {
    let (redis, postgres) = (Redis::start()?, Postgres::start()?);
    let mut table = Table::new([
        "engine",
        "writers",
        "writes/s",
        "writes sent per stored one",
        "p50, ms",
        "p99, ms",
        "given up",
        "fewest and most by one writer",
    ]);
    let (mut lines, mut verdicts) = (Vec::new(), Vec::new());
    for engine in ["memory", "redis", "postgres"] {
        let mut line = Vec::new();
        for writers in WRITERS {
            let thread = Thread::new();
            let contended = thread.block_on(async {
                let provider: Arc<dyn Provider> = match engine {
                    "memory" => Arc::new(MemoryProvider::new()),
                    "redis" => {
                        let config: RedisConfig = redis.url().parse()?;
                        Arc::new(config.connect().await?)
                    }
                    _ => {
                        let config: PostgresConfig = postgres.url().parse()?;
                        let config = config.max_connections(WRITERS[3] as u32).migrate(true);
                        Arc::new(PostgresProvider::connect(config).await?)
                    }
                };
                contend(provider, writers, Duration::from_secs(if effort.quick { 1 } else { 4 })).await
            });
            let Contended { stored, sent, given_up, p50, p99, shares, rate, exact } =
                contended.map_err(io::Error::other)?;
            table.line([
                engine.to_owned(),
                writers.to_string(),
                format!("{rate:.0}"),
                format!("{:.2}", sent as f64 / stored as f64),
                format!("{p50:.2}"),
                format!("{p99:.2}"),
                given_up.to_string(),
                format!("{} / {}", shares.0, shares.1),
            ]);
            line.push((writers as f64, rate));
            if writers == WRITERS[3] {
                verdicts.push(Verdict {
                    what: format!("{engine}, {writers} writers: the total"),
                    measured: if exact { "exact" } else { "wrong" }.into(),
                    goal: "every acknowledged write counted once".into(),
                    met: exact,
                });
                verdicts.push(Verdict {
                    what: format!("{engine}, {writers} writers: everybody gets on"),
                    measured: format!("{} by the last, {given_up} given up", shares.0),
                    goal: "> 0 by each, 0 given up".into(),
                    met: shares.0 > 0 && given_up == 0,
                });
            }
        }
        lines.push((engine, line));
    }
    let plot = Plot::Lines { across: "writers", up: "writes/s", lines };
    let note = "Each writer has a manager of its own, as if it were a process of its own: within one, writers to one \
                session queue and do not conflict. It adds one to a counter, again and again; a write that meets \
                another's is merged and sent again.";
    let section = Section::new("contention", "Many writers on one session", table).note(note.into());
    Ok(vec![section.verdicts(verdicts).plot(plot)])
}

struct Contended {
    stored: usize,
    sent: usize,
    given_up: usize,
    p50: f64,
    p99: f64,
    /// By the slowest and by the fastest writer.
    shares: (usize, usize),
    rate: f64,
    exact: bool,
}

async fn contend(
    provider: Arc<dyn Provider>,
    writers: usize,
    how_long: Duration,
) -> session_core::Result<Contended> {
    let manager = Manager::builder_shared(Arc::clone(&provider)).build()?;
    let session = manager.create();
    session.set(COUNT, &0_u64)?;
    session.release().await?;
    let token = session.token().expect("a stored session has a token");
    let (spied, spy) = Spy::on(provider);
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let manager = Manager::builder_shared(Arc::clone(&spied)).build()?;
        tasks.push(tokio::task::spawn_local(write(manager, token.clone(), begun + how_long)));
    }
    let (mut times, mut given_up, mut shares) = (Vec::new(), 0, Vec::new());
    for task in tasks {
        let (mine, failed) = task.await.expect("a writer")?;
        shares.push(mine.len());
        times.extend(mine);
        given_up += failed;
    }
    let took = begun.elapsed().as_secs_f64();
    let sent = spy.methods().into_iter().filter(|method| *method == Method::Write).count();
    let session = manager.load(&token).await?.expect("the session");
    let total: u64 = session.get(COUNT)?.unwrap_or(0);
    let (p50, p99) = percentiles(&times);
    let shares = (shares.iter().min().copied().unwrap_or(0), shares.iter().max().copied().unwrap_or(0));
    let stored = times.len();
    Ok(Contended {
        stored,
        sent,
        given_up,
        p50,
        p99,
        shares,
        rate: stored as f64 / took,
        exact: total == stored as u64,
    })
}

/// Writes until then; says how many milliseconds each stored write took, and how many were given up.
async fn write(manager: Manager, token: Token, end: Instant) -> session_core::Result<(Vec<f64>, usize)> {
    let (mut times, mut given_up) = (Vec::new(), 0);
    while Instant::now() < end {
        let begun = Instant::now();
        let session = manager.load(&token).await?.expect("the session");
        session.update(COUNT, |count: Option<u64>| count.unwrap_or(0) + 1)?;
        match session.release().await {
            Ok(()) => times.push(begun.elapsed().as_secs_f64() * 1e3),
            Err(error) if error.kind() == session_core::ErrorKind::Conflict => given_up += 1,
            Err(error) => return Err(error),
        }
        // In memory nothing ever waits, and the others must have their turn.
        tokio::task::yield_now().await;
    }
    Ok((times, given_up))
}
