//! Many clients of several processes use one session over an unreliable connection; then the whole
//! history is checked.
//!
//! A behaviour of the suite tests one known situation. A history finds unknown ones: clients read,
//! change, regenerate and log out at the same time, through managers that share nothing but the
//! storage; calls are refused, lost, delayed, dropped or hang; requests are cancelled half-way.
//! Each call is recorded with its beginning and its end. [`check`] then asks whether one order of
//! writes explains everything: each acknowledged change is applied once, each unknown one at most
//! once and each refused one never; reads are monotonic in real time; nothing is read after an
//! acknowledged logout, or under an id that was replaced.
//!
//! [`histories!`](macro@crate::histories) makes a test of it. It runs for two seconds, or as long
//! as the environment variable `SESSION_HISTORIES_SECONDS` says.
//!
//! # When it fails
//!
//! The failure names the violated guarantee, the calls that show it, and the seed of their round.
//! `SESSION_HISTORIES_SEED` with that seed repeats the same round: the same clients with the same
//! requests, and the same faults for the first, second and every following call. The seed does not
//! fix the timing, so some failures need several rounds to reappear.

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

/// The default duration of a test.
const SECONDS: u64 = 2;

/// The operation timeout, which limits hanging calls.
const PATIENCE: Duration = Duration::from_millis(600);

/// The timeout of a round.
const LONGEST: Duration = Duration::from_secs(120);

/// A history that violates a guarantee.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed that repeats the round.
    pub seed: u64,
    /// The violation.
    pub violation: Violation,
    /// The complete history.
    pub history: Vec<Event>,
}

/// The statistics of a run without a violation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// The number of rounds.
    pub rounds: u64,
    /// The number of calls.
    pub calls: usize,
    /// The number of acknowledged changes.
    pub acknowledged: usize,
}

/// Runs rounds for as long as the environment says, or two seconds, and panics if a history
/// violates a guarantee.
pub fn run<H: Harness>(harness: impl FnOnce() -> H) {
    let seconds = variable("SESSION_HISTORIES_SECONDS").unwrap_or(SECONDS);
    let seed = variable("SESSION_HISTORIES_SEED");
    match search(harness, Duration::from_secs(seconds), seed) {
        Err(failure) => panic!("{}", failure.report()),
        Ok(Summary { rounds, calls, acknowledged }) => {
            eprintln!("{rounds} rounds, {calls} calls, {acknowledged} changes acknowledged");
            assert!(acknowledged > 0, "no change was acknowledged: nothing was tested");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}: expected a whole number")))
}

/// Runs rounds for this duration, at least one; with a seed always the same one.
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
            round.unwrap_or_else(|_| panic!("a round hangs, with the seed {seed}"))?;
        }
        Ok(summary)
    });
    // Hanging tasks are not waited for.
    runtime.shutdown_background();
    found
}

/// Three concurrent sessions, each used by several clients of three processes.
async fn round(
    context: &Context,
    another: &Arc<dyn Provider>,
    seed: u64,
    summary: &mut Summary,
) -> Result<(), Box<Failure>> {
    let mut random = Random::of(seed);
    // One round in four has a good connection, where no outcome may be unknown.
    let rate = [0, 30, 120, 300][random.place(4)];
    let quality = if rate == 0 { Line::Good } else { Line::Bad };
    let lines = [context.provider(), Arc::clone(another), context.provider()];
    // The last process has a driver that may resend, and uses the default rename.
    let last = lines.len() - 1;
    let seeds = lines.each_ref().map(|_| random.next());
    let resends = quality == Line::Bad && random.in_thousand(500);
    let line = |at: usize| Chaos::on(Arc::clone(&lines[at]), seeds[at], rate, resends && at == last);
    let lines: Vec<_> = (0..lines.len()).map(line).collect();
    let processes: Vec<Manager> = (0..lines.len())
        .map(|process| {
            let line: Arc<dyn Provider> = lines[process].clone();
            let line = if process == last && resends { Resent::on(line) } else { line };
            manager(context, if process == last { Arc::new(ByWrites(line)) } else { line }, quality)
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

/// A manager that extends deadlines often and, on a connection with hanging calls, has a short
/// timeout.
fn manager(context: &Context, provider: Arc<dyn Provider>, line: Line) -> Manager {
    let builder = context.builder_over(provider);
    let builder = if line == Line::Bad { builder.operation_timeout(PATIENCE) } else { builder };
    builder.touch_after(Duration::from_millis(5)).build().expect("a valid configuration")
}

impl Failure {
    /// The violation, the calls that show it with concurrent ones, and how to repeat the round.
    #[must_use]
    pub fn report(&self) -> String {
        let Self { seed, violation, history } = self;
        let mut text = format!("a history violates a guarantee. {violation}\n");
        for at in &violation.events {
            let _ = writeln!(text, "  {}", line(*at, &history[*at]));
        }
        let _ = writeln!(text, "the whole history of the session:");
        for (at, event) in history.iter().enumerate() {
            let _ = writeln!(text, "  {}", line(at, event));
        }
        let _ = write!(text, "to repeat this round: SESSION_HISTORIES_SEED={seed}");
        text
    }
}

fn line(at: usize, Event { client, begin, end, what }: &Event) -> String {
    let end = if *end == u64::MAX { String::from("…") } else { end.to_string() };
    format!("#{at} client {client}, {begin} to {end}: {what:?}")
}
