//! `ping`: how long a question to the engine takes.

use std::time::Instant;

use serde_json::json;
use session_kit::id::StorageId;

use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::report::Report;

pub async fn run(engine: &Engine, count: u32) -> Result<Report> {
    if engine.capabilities().client_side {
        return Err(Failure::unsupported(engine.name(), "has no server: there is nothing to ping"));
    }
    let mut times = Vec::new();
    for _ in 0..count {
        // Nobody has this id, and looking for it moves no deadline.
        let id = StorageId::from_hash(rand::random());
        let begun = Instant::now();
        engine.call("exists", engine.provider.exists(&id)).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let shortest = times.iter().copied().fold(f64::INFINITY, f64::min);
    let longest = times.iter().copied().fold(0.0, f64::max);
    let mean = times.iter().sum::<f64>() / f64::from(count);
    let text = format!(
        "{}: {count} round trips, shortest {shortest:.3} ms, mean {mean:.3} ms, longest {longest:.3} ms",
        engine.name()
    );
    let json = json!({ "engine": engine.name(), "round_trips": count, "shortest_ms": shortest, "mean_ms": mean, "longest_ms": longest });
    Ok(Report::new(json, text))
}
