//! Many clients at once on Redis.

use std::io;

use session_redis::RedisConfig;
use session_servers::redis::Redis;

use crate::measure::{Effort, measure};
use crate::peers::{self, raw};
use crate::report::{Plot, Section, Table, Verdict};
use crate::rows::servers;
use crate::thread::Thread;
use crate::work::{Job, Work};

const CLIENTS: [usize; 6] = [1, 4, 16, 64, 256, 1_000];

/// Reads by 1 to 1,000 clients.
pub fn clients(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Redis::start_with(&["--maxclients", "4000"])?;
    let mut table = Table::new(["clients", "session-kit, µs/request", "tower-sessions", "raw driver"]);
    let mut lines = ["session-kit", "tower-sessions", "raw driver"].map(|name| (name, Vec::new()));
    for clients in CLIENTS {
        let (thread, job) = (Thread::new(), Job::of(Work::Read).clients(clients));
        let url = server.url();
        let config: RedisConfig = url.parse().map_err(io::Error::other)?;
        let provider = thread.block_on(config.connect()).map_err(io::Error::other)?;
        let [raw_driver, _] = raw::subjects(&thread, job, || raw::redis::clients(&url, job));
        let subjects = vec![
            peers::ours(&thread, provider, job),
            servers::tower_sessions_on_redis(&thread, &server, job),
            raw_driver,
        ];
        let figures = measure(subjects, effort);
        let minima: Vec<_> = figures.iter().map(|figure| figure.minimum).collect();
        table.line(
            [vec![clients.to_string()], minima.iter().map(|each| format!("{each:.2}")).collect()].concat(),
        );
        for ((_, line), minimum) in lines.iter_mut().zip(&minima) {
            line.push((clients as f64, *minimum));
        }
    }
    let ours = &lines[0].1;
    let (one, dearest) = (ours[0].1, ours.iter().map(|(_, cost)| *cost).fold(0.0, f64::max));
    let verdict = Verdict {
        what: "the dearest request with any number of clients".into(),
        measured: format!("{:.2} x one client's", dearest / one),
        goal: "<= 1.10 x".into(),
        met: dearest <= 1.1 * one,
    };
    let plot = Plot::Lines { across: "clients", up: "µs/request", lines: lines.into() };
    let section = Section::new("clients", "Many clients at once: Redis, read", table);
    Ok(vec![section.verdicts([verdict]).plot(plot)])
}
