//! `gc`: removes expired records, or reports their number.

use serde_json::json;

use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::report::Report;

/// The number of records that one call removes.
const BATCH: usize = 1_000;

pub async fn run(engine: &Engine, dry_run: bool) -> Result<Report> {
    if engine.capabilities().native_expiry {
        let text =
            format!("the engine `{}` removes expired sessions itself: nothing to collect", engine.name());
        let json =
            json!({ "engine": engine.name(), "native_expiry": true, "expired": 0, "dry_run": dry_run });
        return Ok(Report::new(json, text));
    }
    let expired = if dry_run { due(engine).await? } else { collect(engine).await? };
    let verb = if dry_run { "would be" } else { "were" };
    let text = format!("{expired} expired records {verb} removed");
    let json =
        json!({ "engine": engine.name(), "native_expiry": false, "expired": expired, "dry_run": dry_run });
    Ok(Report::new(json, text))
}

async fn due(engine: &Engine) -> Result<u64> {
    let due = engine.work("due", engine.provider.due()).await?;
    due.ok_or_else(|| Failure::unsupported(engine.name(), "cannot count expired records: omit --dry-run"))
}

async fn collect(engine: &Engine) -> Result<u64> {
    let mut removed = 0;
    loop {
        let batch = engine.work("gc", engine.provider.gc(BATCH)).await?;
        removed += batch as u64;
        // A call may stop early, so that requests are hardly delayed.
        if batch == 0 {
            return Ok(removed);
        }
    }
}
