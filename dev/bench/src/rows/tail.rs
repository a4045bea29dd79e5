//! The slowest requests of a thousand clients.

use std::io;
use std::time::Duration;

use session_servers::postgres::Postgres;
use session_servers::redis::Redis;

use crate::measure::{Effort, Subject};
use crate::open_loop::Rate;
use crate::peers;
use crate::report::{Plot, Section, Table, Verdict};
use crate::rows::collect::percentiles;
use crate::rows::servers::{our_redis, peers_on_postgres, peers_on_redis, postgres_provider};
use crate::thread::Thread;
use crate::work::{Job, Work};

const CLIENTS: usize = 1_000;
/// Requests per second.
const REDIS: [u32; 5] = [1_000, 5_000, 10_000, 20_000, 50_000];
const POSTGRES: [u32; 5] = [500, 1_000, 2_000, 5_000, 10_000];
/// Microseconds. A library with a p99 above this is not measured at higher rates.
const OVERLOADED: f64 = 100_000.0;

/// The p99 in milliseconds by the rate.
type Line = Vec<(f64, f64)>;

/// Redis and PostgreSQL.
pub fn rows(effort: Effort) -> io::Result<Vec<Section>> {
    let job = Job::of(Work::MostlyReads).clients(CLIENTS);
    let redis = {
        let (thread, server) = (Thread::new(), Redis::start_with(&["--maxclients", "4000"])?);
        let mut subjects = vec![peers::ours(&thread, our_redis(&thread, &server), job)];
        subjects.extend(peers_on_redis(&thread, &server, job));
        section("tail-redis", "The slowest requests of 1,000 clients: Redis", subjects, &REDIS, effort)
    };
    let (thread, server) = (Thread::new(), Postgres::start_with(&["max_connections=300"])?);
    let mut subjects = vec![peers::ours(&thread, postgres_provider(&thread, &server), job)];
    subjects.extend(peers_on_postgres(&thread, &server, job));
    let title = "The slowest requests of 1,000 clients: PostgreSQL";
    Ok(vec![redis, section("tail-postgres", title, subjects, &POSTGRES, effort)])
}

fn section(
    name: &'static str,
    title: &'static str,
    mut subjects: Vec<Subject>,
    rates: &[u32],
    effort: Effort,
) -> Section {
    let mut table = Table::new(["requests/s", "subject", "p50, ms", "p99, ms"]);
    let mut lines: Vec<(_, Line)> = subjects.iter().map(|subject| (subject.name, Line::new())).collect();
    let mut verdicts = Vec::new();
    // Many short rounds: on a virtual machine the host takes the cores away for milliseconds, several
    // times a second. A request in a hundred waits for that, unless a round happens to be spared.
    let (rounds, how_long) = if effort.quick { (1, 300) } else { (16, 1_000) };
    let how_long = Duration::from_millis(how_long);
    for per_second in rates.iter().copied().map(f64::from) {
        eprintln!("measuring {name}, {per_second} requests/s");
        // A library that was overloaded at the last rate is not measured at this one.
        let is_overloaded = |line: &Line| line.last().is_some_and(|(_, p99)| *p99 > OVERLOADED / 1e3);
        let mut measured: Vec<_> = subjects
            .iter_mut()
            .zip(&mut lines)
            .filter(|(_, (_, line))| !is_overloaded(line))
            .map(|(subject, (_, line))| (subject, line, (f64::NAN, f64::INFINITY)))
            .collect();
        // In turn, so that other load on the machine affects all of them. The first round opens
        // connections.
        for round in 0..=rounds {
            for (subject, _, best) in &mut measured {
                let (p50, p99) = percentiles(&subject.at_rate(Rate { per_second, how_long }));
                if round > 0 && p99 < best.1 {
                    *best = (p50, p99);
                }
            }
        }
        // This project is the first.
        let mut tails = Vec::new();
        for (subject, line, (p50, p99)) in measured {
            let (p50, p99) = (p50 / 1e3, p99 / 1e3);
            let cells =
                [format!("{per_second}"), subject.name.into(), format!("{p50:.2}"), format!("{p99:.2}")];
            table.line(cells);
            line.push((per_second, p99));
            tails.push((subject.name, p99));
        }
        let Some(((_, ours), others)) = tails.split_first().filter(|((name, _), _)| *name == lines[0].0)
        else {
            continue;
        };
        if let Some((best, p99)) = others.iter().min_by(|one, other| one.1.total_cmp(&other.1)) {
            verdicts.push(Verdict {
                what: format!("p99 at {per_second} requests/s"),
                measured: format!("{:.2} x {best}", ours / p99),
                goal: "<= 1.00 x".into(),
                met: ours <= p99,
            });
        }
    }
    let note = format!(
        "{CLIENTS} clients with a session each, 95 % reads, at a fixed rate. The latency of a request is \
        measured from its scheduled time, so that a pause counts for every request that waits behind it \
        (coordinated omission). The libraries are measured in turn; the calmest of {rounds} runs of {} ms \
         is shown. A library whose p99 is above {:.0} ms is overloaded and not measured at higher rates.",
        how_long.as_millis(),
        OVERLOADED / 1e3
    );
    let plot = Plot::Lines { across: "requests/s", up: "p99, ms", lines };
    Section::new(name, title, table).note(note).verdicts(verdicts).plot(plot)
}
