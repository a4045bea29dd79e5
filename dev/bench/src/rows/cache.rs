//! A cache over Redis.

use std::io;
use std::sync::Arc;

use session_cache::{Cached, Settings};
use session_conformance::layers::{Method, Spy};
use session_core::{Manager, Provider};
use session_servers::redis::Redis;

use crate::measure::{Client as _, Effort, Role};
use crate::peers::{self, Visitor, kit, raw};
use crate::report::{Row, Section};
use crate::rows::servers::{our_redis, peers_on_redis};
use crate::thread::Thread;
use crate::work::{Job, Shape, Work};

/// The number of requests for measuring the hit rate of the cache.
const COUNTED: usize = 20_000;

/// Reads from the cache, and a workload of mostly reads, compared with subjects without a cache.
pub fn rows(effort: Effort) -> io::Result<Vec<Section>> {
    let server = Redis::start()?;
    let mut rows = Vec::new();
    for job in [Job::of(Work::Read), Job::of(Work::MostlyReads).clients(16)] {
        let (thread, url) = (Thread::new(), server.url());
        let app = kit::app(cached(Arc::new(our_redis(&thread, &server)))?, job.shape);
        let uncached = Manager::builder(our_redis(&thread, &server)).build().map_err(io::Error::other)?;
        let mut subjects = vec![
            peers::floor(&thread, job),
            peers::axum(Role::Ours, "session-kit", &thread, app, job),
            peers::axum(Role::Ours, "session-kit, no cache", &thread, kit::app(uncached, job.shape), job),
        ];
        subjects.extend(peers_on_redis(&thread, &server, job));
        subjects.extend(raw::subjects(&thread, job, || raw::redis::clients(&url, job)));
        rows.push(Row::measured(&job.title("cached redis"), subjects, effort));
    }
    let note = format!(
        "Session-kit has a cache with the default settings: a read is at most a second old, and a \
         write drops the entry of its session. In the workload of 95 % reads the cache answers {:.1} % \
         of the loads; the peers and the raw driver ask Redis each time.",
        hit_rate(&server)? * 100.0
    );
    Ok(vec![Section::of_rows("cache", "A cache over Redis", rows).note(note)])
}

fn cached(engine: Arc<dyn Provider>) -> io::Result<Manager> {
    let cached = Cached::over(engine, Settings::new()).map_err(io::Error::other)?;
    Manager::builder(cached).build().map_err(io::Error::other)
}

/// The share of reads that do not reach the engine. Counted separately, since counting would slow
/// down the measurement.
fn hit_rate(server: &Redis) -> io::Result<f64> {
    let thread = Thread::new();
    let (engine, spy) = Spy::on(Arc::new(our_redis(&thread, server)));
    let app = kit::app(cached(engine)?, Shape::USUAL);
    let missed = thread.block_on(async {
        let mut visitor = Visitor::new(app, Work::MostlyReads).await;
        spy.take();
        for _ in 0..COUNTED {
            visitor.request().await;
        }
        spy.methods().into_iter().filter(|method| *method == Method::Read).count()
    });
    Ok(1.0 - missed as f64 / COUNTED as f64)
}
