//! `count`: the number of sessions.

use serde_json::json;

use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::report::Report;

pub async fn run(engine: &Engine) -> Result<Report> {
    match engine.work("count", engine.provider.count()).await? {
        Some(count) => {
            Ok(Report::new(json!({ "engine": engine.name(), "sessions": count }), count.to_string()))
        }
        None => Err(Failure::unsupported(engine.name(), "cannot count its sessions")),
    }
}
