//! `bench`: creates, reads, writes and destroys sessions of its own for a while.

use std::time::{Duration, Instant};

use serde_json::json;
use session_kit::clock::{Clock as _, SystemClock};
use session_kit::engine::{Condition, DestroyOutcome, WriteOutcome};
use session_kit::id::StorageId;
use session_kit::record::{Body, Header, Record, Value};
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::failure::{Code, Failure, Result};
use crate::report::{Paint, Report, table};

/// What is asked of the engine.
#[derive(Clone, Copy)]
pub struct Load {
    pub time: Duration,
    pub clients: u16,
    pub bytes: usize,
}

/// What is left behind by a run that is killed ends after this time.
const LIFETIME: Duration = Duration::from_mins(2);

const OPERATIONS: [&str; 4] = ["create", "read", "write", "destroy"];

pub async fn run(engine: &Engine, load: Load, paint: Paint) -> Result<Report> {
    if engine.capabilities().client_side {
        return Err(Failure::unsupported(engine.name(), "has no server: there is nothing to measure"));
    }
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        let engine = engine.clone();
        clients.spawn(async move { client(&engine, load, begun + load.time).await });
    }
    let mut times: [Times; 4] = std::array::from_fn(|_| Times::default());
    for measured in clients.join_all().await {
        for (all, one) in times.iter_mut().zip(measured?) {
            all.add(&one);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (mut rows, mut operations) = (Vec::new(), serde_json::Map::new());
    for (name, times) in OPERATIONS.iter().zip(&times) {
        let [p50, p99] = [500, 990].map(|part| times.quantile(part).as_secs_f64() * 1e3);
        let rate = f64::from(u32::try_from(times.count).unwrap_or(u32::MAX)) / seconds;
        rows.push(vec![
            (*name).to_owned(),
            times.count.to_string(),
            format!("{rate:.0}/s"),
            format!("{p50:.3} ms"),
            format!("{p99:.3} ms"),
        ]);
        let numbers = json!({ "count": times.count, "per_second": rate, "p50_ms": p50, "p99_ms": p99 });
        operations.insert((*name).to_owned(), numbers);
    }
    let json = json!({
        "engine": engine.name(),
        "seconds": seconds,
        "clients": load.clients,
        "bytes": load.bytes,
        "operations": operations,
    });
    Ok(Report::new(json, table(&["operation", "count", "rate", "p50", "p99"], &rows, paint)))
}

/// The life of one session after the other. The last one is ended too.
async fn client(engine: &Engine, load: Load, until: Instant) -> Result<[Times; 4]> {
    let mut times: [Times; 4] = std::array::from_fn(|_| Times::default());
    let mut body = Body::default();
    body.insert("value", Value::encode(&"x".repeat(load.bytes))?);
    while Instant::now() < until {
        let id = StorageId::from_hash(rand::random());
        let done = life(engine, &id, &body, &mut times).await;
        if done.is_err() {
            let _ = engine.call("destroy", engine.provider.destroy(&id, None)).await;
        }
        done?;
    }
    Ok(times)
}

async fn life(engine: &Engine, id: &StorageId, body: &Body, times: &mut [Times; 4]) -> Result<()> {
    let now = SystemClock.now();
    let deadline = now.after(LIFETIME);
    let record = Record::new(Header::new(now, deadline, deadline), body.clone());
    let provider = &engine.provider;
    let [create, read, write, destroy] = times;

    let write_it = provider.write(id, &record, Condition::Absent, LIFETIME);
    let WriteOutcome::Stored(_) = create.time(engine.call("create", write_it)).await? else {
        return Err(unexpected("create"));
    };
    let Some(found) = read.time(engine.call("read", provider.read(id, LIFETIME))).await? else {
        return Err(unexpected("read"));
    };
    let next = Record::new(found.header.next(), body.clone());
    let over = Condition::Over(found.stamp());
    let cas = match write.time(engine.call("write", provider.write(id, &next, over, LIFETIME))).await? {
        WriteOutcome::Stored(stored) => stored.cas,
        WriteOutcome::Refused(_) => return Err(unexpected("write")),
    };
    let stamp = session_kit::record::Stamp { version: next.header.version(), cas };
    match destroy.time(engine.call("destroy", provider.destroy(id, Some(stamp)))).await? {
        DestroyOutcome::Destroyed => Ok(()),
        _ => Err(unexpected("destroy")),
    }
}

fn unexpected(operation: &str) -> Failure {
    Failure::new(
        Code::Failed,
        format!("{operation}: the engine lost a session of the measurement, which nobody else knows"),
    )
}

/// Durations, counted by steps of a sixteenth of their power of two, so that they take little memory.
struct Times {
    count: u64,
    steps: Box<[u64; STEPS]>,
}

/// Sixteen for each power of two of nanoseconds.
const STEPS: usize = 64 * 16;

impl Default for Times {
    fn default() -> Self {
        Self { count: 0, steps: Box::new([0; STEPS]) }
    }
}

impl Times {
    async fn time<T>(&mut self, call: impl Future<Output = session_kit::Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let value = call.await?;
        self.record(begun.elapsed());
        Ok(value)
    }

    fn record(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(16);
        let power = nanoseconds.ilog2();
        let sixteenth = nanoseconds >> (power - 4) & 15;
        self.steps[power as usize * 16 + sixteenth as usize] += 1;
        self.count += 1;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.steps.iter_mut().zip(other.steps.iter()).for_each(|(all, one)| *all += one);
    }

    /// The time that so many of a thousand do not exceed.
    fn quantile(&self, part: u64) -> Duration {
        let wanted = (self.count * part).div_ceil(1_000).max(1);
        let mut so_far = 0;
        let step = self.steps.iter().position(|count| {
            so_far += count;
            so_far >= wanted
        });
        // The end of the step.
        let nanoseconds = step.map_or(0, |step| (step as u128 % 16 + 17) << (step / 16) >> 4);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_sixteenth() {
        let mut times = Times::default();
        for milliseconds in 1..=100 {
            times.record(Duration::from_millis(milliseconds));
        }
        for (part, expected) in [(500, 50_000), (990, 99_000), (0, 1_000)] {
            let found = times.quantile(part).as_micros();
            assert!((expected..=expected * 107 / 100).contains(&found), "{part}: {found}");
        }
        assert_eq!(Times::default().quantile(500), Duration::ZERO);
    }
}
