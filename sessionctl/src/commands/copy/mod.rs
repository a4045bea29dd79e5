//! `copy`: copies all sessions to another engine, while the application continues to use the first
//! one.
//!
//! A pass scans the source and copies every difference to the target; then it ends at the target
//! the sessions that have ended at the source. Passes are repeated until one finds no difference,
//! and the last one reads and compares every session at the target. See `docs/sessionctl.md` for
//! switching a service to another engine.

mod journal;
mod pass;
mod progress;
mod step;

use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::Copy;
use crate::engine::{Engine, Spec};
use crate::failure::{Code, Failure, Result};
use crate::report::Report;
use journal::Journal;
use pass::{Copying, Tally};
use progress::Progress;
use step::Mode;

/// The maximum number of passes without `--follow`.
const PASSES: u32 = 10;

/// How often a verification that found differences is repeated.
const VERIFICATIONS: u32 = 3;

/// The exit code if the target does not match the source.
const INCOMPLETE: u8 = 6;

pub async fn run(copy: &Copy, timeout: Duration, as_json: bool) -> Result<Report> {
    if copy.from == copy.to {
        return Err(Failure::new(Code::Usage, "--from and --to are the same engine"));
    }
    let from = Engine::existing(&copy.from, timeout).await?;
    from.walk()?;
    let to = Engine::connect(Spec::parse(&copy.to)?, timeout).await?;
    if to.capabilities().client_side {
        return Err(Failure::unsupported(
            to.name(),
            "stores sessions on the clients: none can be copied there",
        ));
    }
    let journal = match &copy.state {
        Some(path) => Journal::open(path, &format!("{} to {}", from.name(), to.name()))?,
        None => Journal::default(),
    };
    let total = from.work("count", from.provider.count()).await.ok().flatten();
    let mut progress = Progress::new(total, as_json);
    let mut copying = Copying { from, to, journal, jobs: copy.jobs.into(), pass: 0 };
    let (total, last) = passes(&mut copying, copy, &mut progress, as_json).await?;
    Ok(report(&copying, total, last))
}

/// All passes: their totals, and the result of the last one.
async fn passes(
    copying: &mut Copying,
    copy: &Copy,
    progress: &mut Progress,
    as_json: bool,
) -> Result<(Tally, Tally)> {
    let mut total = Tally::default();
    let mode = Mode { verify: false, overwrite: copy.overwrite };
    let mut stop = if copy.follow { Some(stop_signal()?) } else { None };
    loop {
        match copying.pass(mode, progress).await {
            Ok(tally) => {
                total += tally;
                say(as_json, copying.pass, &tally.text());
                if !copy.follow && (tally.is_quiet() || copying.pass >= PASSES) {
                    break;
                }
            }
            // A temporary outage of an engine does not end a copy with --follow.
            Err(failure) if copy.follow && failure.code == Code::Unavailable => {
                say(as_json, copying.pass, &failure.to_string());
            }
            Err(failure) => return Err(failure),
        }
        if let Some(stop) = &mut stop {
            let pause = Duration::from_secs(copy.every);
            let stopped = tokio::time::timeout(pause, stop.wait_for(|stopped| *stopped)).await;
            if stopped.is_ok() {
                break;
            }
        }
    }
    let mut last = Tally::default();
    for _ in 0..VERIFICATIONS {
        last = copying.pass(Mode { verify: true, ..mode }, progress).await?;
        total += last;
        say(as_json, copying.pass, &format!("verified, {}", last.text()));
        if last.is_quiet() {
            break;
        }
    }
    Ok((total, last))
}

fn say(as_json: bool, pass: u32, text: &str) {
    if !as_json {
        eprintln!("pass {pass}: {text}");
    }
}

fn report(copying: &Copying, total: Tally, last: Tally) -> Report {
    let complete = last.is_quiet() && last.problems() == 0;
    let (from, to) = (copying.from.name(), copying.to.name());
    let json = json!({
        "from": from,
        "to": to,
        "passes": copying.pass,
        "sessions": copying.journal.len(),
        "complete": complete,
        "total": total.json(),
        "last_pass": last.json(),
    });
    let verdict = match (complete, last.is_quiet()) {
        (true, _) => format!("complete: {to} has the {} records of {from}", copying.journal.len()),
        (false, false) => format!(
            "{from} is in use: {} copied, {} updated and {} ended in the last pass; --follow continues \
            until the \
             application uses {to}",
            last.copied, last.updated, last.ended
        ),
        (false, true) => format!(
            "not complete: {} changed at {to}, {} missing there, {} too large for it; --overwrite lets {from} win",
            last.changed, last.missing, last.too_large
        ),
    };
    Report { json, text: verdict, code: if complete { 0 } else { INCOMPLETE } }
}

/// Becomes true when the process is told to stop; a second signal stops it at once.
fn stop_signal() -> Result<watch::Receiver<bool>> {
    let failed = |error| Failure::new(Code::Failed, format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.send_replace(true) {
                std::process::exit(130);
            }
        }
    });
    Ok(stopped)
}

#[cfg(test)]
mod tests;
