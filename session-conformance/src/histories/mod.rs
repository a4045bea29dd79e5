//! Many clients of several processes use one session over an unreliable connection; then the whole
//! history is checked.
//!
//! A behaviour of the suite plays one known situation. A history finds the others: clients read,
//! change, regenerate and log out at the same time, through managers that share nothing but the
//! storage; calls are refused, lost, late, cut and hang; requests are cancelled half-way. Each call
//! is recorded with its beginning and its end. [`check`] then asks whether one order of writes
//! explains everything: each acknowledged change is applied once, each unknown one at most once and
//! each refused one never; reads are monotonic in real time; nothing is read after an acknowledged
//! logout, or under an id that was replaced.
//!
//! [`histories!`](macro@crate::histories) makes a test of it. It runs for two seconds, or for as many as
//! the environment variable `SESSION_HISTORIES_SECONDS` says.
//!
//! # When it fails
//!
//! The failure names the promise that was broken, the calls that show it, and the seed of their
//! round. `SESSION_HISTORIES_SEED` with that seed plays the same round again and again: the same
//! clients with the same requests, and the same faults for the first, second and every following
//! call. The seed does not fix the timing, so that some failures need several rounds to appear
//! again.

mod chaos;
mod check;
mod client;
mod event;
mod random;

use std::env;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::record::Version;
use session_core::{Manager, Provider};
use tokio::task::JoinSet;

pub use check::{Line, Promise, Violation, check};
pub use event::{Event, Found, Outcome, Seen, What};

use crate::layers::{ByWrites, Resent};
use crate::{Context, Harness};
use chaos::Chaos;
use client::{Client, Shared};
use random::Random;

/// How long a test runs when nobody says how long.
const SECONDS: u64 = 2;

/// How long one operation may take: calls that hang are waited for.
const PATIENCE: Duration = Duration::from_millis(600);

/// How long a round may take before it counts as hung.
const LONGEST: Duration = Duration::from_secs(120);

/// A history that breaks a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What makes the same round again.
    pub seed: u64,
    /// What is wrong.
    pub violation: Violation,
    /// Everything that happened.
    pub history: Vec<Event>,
}

/// What was done without finding anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// How many rounds were played.
    pub rounds: u64,
    /// How many calls were made.
    pub calls: usize,
    /// How many changes were acknowledged.
    pub acknowledged: usize,
}

/// Plays rounds for as long as the environment says, or two seconds, and panics when a history
/// breaks a promise.
pub fn run<H: Harness>(harness: impl FnOnce() -> H) {
    let seconds = variable("SESSION_HISTORIES_SECONDS").unwrap_or(SECONDS);
    let seed = variable("SESSION_HISTORIES_SEED");
    match search(harness, Duration::from_secs(seconds), seed) {
        Err(failure) => panic!("{}", failure.report()),
        Ok(Summary { rounds, calls, acknowledged }) => {
            eprintln!("{rounds} rounds, {calls} calls, {acknowledged} changes acknowledged");
            assert!(acknowledged > 0, "no change was acknowledged: nothing was shown");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}: expected a whole number")))
}

/// Plays rounds for that long, at least one; with a seed always the same one.
pub fn search<H: Harness>(
    harness: impl FnOnce() -> H,
    time: Duration,
    seed: Option<u64>,
) -> Result<Summary, Box<Failure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let found = runtime.block_on(async {
        let context = Context::new(harness()).await;
        let another = context.another().await;
        let mut summary = Summary::default();
        let begun = Instant::now();
        while summary.rounds == 0 || begun.elapsed() < time {
            let seed = seed.unwrap_or_else(|| Version::random().0);
            let round = tokio::time::timeout(LONGEST, round(&context, &another, seed, &mut summary)).await;
            round.unwrap_or_else(|_| panic!("a round does not end, with the seed {seed}"))?;
        }
        Ok(summary)
    });
    // What still hangs is not waited for.
    runtime.shutdown_background();
    found
}

/// Three sessions, used at the same time, each by some clients of three processes.
async fn round(
    context: &Context,
    another: &Arc<dyn Provider>,
    seed: u64,
    summary: &mut Summary,
) -> Result<(), Box<Failure>> {
    let mut random = Random::of(seed);
    // One round in four has a good line, where nothing excuses an outcome that is not known.
    let rate = [0, 30, 120, 300][random.place(4)];
    let quality = if rate == 0 { Line::Good } else { Line::Bad };
    let lines = [context.provider(), Arc::clone(another), context.provider()];
    let lines = lines.map(|provider| Chaos::on(provider, random.next(), rate));
    let resends = quality == Line::Bad && random.in_thousand(500);
    let processes: Vec<Manager> = (0..lines.len())
        .map(|process| {
            let line: Arc<dyn Provider> = lines[process].clone();
            // The last process has a driver that resends, and no rename of its own.
            let last = process == lines.len() - 1;
            let line = if last && resends { Resent::on(line) } else { line };
            manager(context, if last { Arc::new(ByWrites(line)) } else { line }, quality)
        })
        .collect();
    let observers = [context.provider(), Arc::clone(another)];
    let observers = observers.map(|provider| manager(context, provider, Line::Good));

    let mut sessions = Vec::new();
    let mut running = JoinSet::new();
    for session in 0..3 {
        let shared = Arc::new(Shared::new(crate::begin(&observers[0], "kept", session).await));
        for number in 0..2 + random.below(4) {
            let process = random.place(lines.len());
            let plan = Random::branch(seed, session << 8 | number);
            let client = Client::new(&shared, &processes[process], number + 1, plan);
            running.spawn(client.run(12 + random.below(12)));
        }
        sessions.push(shared);
    }
    let clock = context.clock().cloned().map(|clock| {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                clock.advance(Duration::from_millis(1));
            }
        })
    });
    while let Some(ended) = running.join_next().await {
        assert!(ended.is_ok(), "a client panics in the round of the seed {seed}");
    }
    for line in &lines {
        line.settled().await;
    }
    if let Some(clock) = clock {
        clock.abort();
    }
    for shared in sessions {
        for observer in &observers {
            Client::new(&shared, observer, 0, Random::of(seed)).look().await;
        }
        let history = shared.recorder.history();
        summary.calls += history.len();
        let done = |event: &&Event| matches!(event.what, What::Commit { outcome: Outcome::Done, .. });
        summary.acknowledged += history.iter().filter(done).count();
        check(&history, quality).map_err(|violation| Box::new(Failure { seed, violation, history }))?;
    }
    summary.rounds += 1;
    Ok(())
}

/// A manager that moves deadlines often and, on a line on which calls hang, gives up soon.
fn manager(context: &Context, provider: Arc<dyn Provider>, line: Line) -> Manager {
    let builder = context.builder_over(provider);
    let builder = if line == Line::Bad { builder.operation_timeout(PATIENCE) } else { builder };
    builder.touch_after(Duration::from_millis(5)).build().expect("a sound configuration")
}

impl Failure {
    /// What is wrong, the calls that show it with those of the same time, and how to play the round
    /// again.
    #[must_use]
    pub fn report(&self) -> String {
        let Self { seed, violation, history } = self;
        let mut text = format!("a history breaks a promise. {violation}\n");
        for at in &violation.events {
            let _ = writeln!(text, "  {}", line(*at, &history[*at]));
        }
        let _ = writeln!(text, "the whole history of the session:");
        for (at, event) in history.iter().enumerate() {
            let _ = writeln!(text, "  {}", line(at, event));
        }
        let _ = write!(text, "to play this round again, and again: SESSION_HISTORIES_SEED={seed}");
        text
    }
}

fn line(at: usize, Event { client, begin, end, what }: &Event) -> String {
    let end = if *end == u64::MAX { String::from("…") } else { end.to_string() };
    format!("#{at} client {client}, {begin} to {end}: {what:?}")
}
