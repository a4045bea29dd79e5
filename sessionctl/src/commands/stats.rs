//! `stats`: what is stored, and how old it is.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use session_kit::accounts::Owner;
use session_kit::clock::{Clock as _, SystemClock, Timestamp};
use session_kit::engine::Listed;

use crate::engine::Engine;
use crate::failure::Result;
use crate::report::{Paint, Report};
use crate::shown::bytes;

/// The ages that are told apart, in seconds.
const AGES: [(&str, u64); 8] = [
    ("1 minute", 60),
    ("10 minutes", 600),
    ("1 hour", 3_600),
    ("6 hours", 21_600),
    ("1 day", 86_400),
    ("1 week", 604_800),
    ("30 days", 2_592_000),
    ("older", u64::MAX),
];

/// How long the longest bar is.
const BAR: u64 = 40;

#[derive(Default)]
struct Stats {
    live: u64,
    with_owner: u64,
    tombstones: u64,
    owners: HashSet<Owner>,
    bytes: u64,
    largest: u64,
    ages: [u64; AGES.len()],
}

pub async fn run(engine: &Engine, paint: Paint) -> Result<Report> {
    let mut walk = engine.walk()?;
    let (mut stats, now) = (Stats::default(), SystemClock.now());
    while let Some(page) = walk.next_page().await? {
        for listed in &page {
            stats.add(listed, now);
        }
    }
    Ok(Report::new(stats.json(engine.name()), stats.text(paint)))
}

impl Stats {
    fn add(&mut self, Listed { record, .. }: &Listed, now: Timestamp) {
        if !record.is_live() {
            self.tombstones += 1;
            return;
        }
        self.live += 1;
        if let Some(owner) = record.header.owner {
            self.with_owner += 1;
            self.owners.insert(owner);
        }
        let size = record.body.bytes() as u64;
        self.bytes += size;
        self.largest = self.largest.max(size);
        let age = now.since(record.header.created).as_secs();
        let bucket = AGES.iter().position(|(_, below)| age < *below).unwrap_or(AGES.len() - 1);
        self.ages[bucket] += 1;
    }

    fn json(&self, engine: &str) -> Json {
        let ages: Vec<Json> = AGES
            .iter()
            .zip(self.ages)
            .map(|((_, below), sessions)| {
                json!({ "below_seconds": (*below < u64::MAX).then_some(below), "sessions": sessions })
            })
            .collect();
        json!({
            "engine": engine,
            "live": self.live,
            "with_owner": self.with_owner,
            "without_owner": self.live - self.with_owner,
            "owners": self.owners.len(),
            "tombstones": self.tombstones,
            "bytes": self.bytes,
            "largest": self.largest,
            "ages": ages,
        })
    }

    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{} {value}", paint.dim(format!("{name:14}")));
        };
        line("live", self.live.to_string());
        line("with an owner", format!("{}, of {} owners", self.with_owner, self.owners.len()));
        line("without", (self.live - self.with_owner).to_string());
        line("tombstones", self.tombstones.to_string());
        line("values", format!("{}, the largest {}", bytes(self.bytes), bytes(self.largest)));
        let most = self.ages.iter().copied().max().unwrap_or(0).max(1);
        let _ = writeln!(text, "{}", paint.bold("age"));
        for ((name, below), count) in AGES.iter().zip(self.ages) {
            let name = if *below < u64::MAX { format!("< {name}") } else { (*name).to_owned() };
            let bar = "#".repeat(usize::try_from((count * BAR).div_ceil(most)).unwrap_or(0));
            let _ = writeln!(text, "{}", format!("  {name:12} {count:>9} {bar}").trim_end());
        }
        text
    }
}
