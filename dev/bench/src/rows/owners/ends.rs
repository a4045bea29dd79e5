//! The sessions of an owner: the time to end a thousand, and to list ten among many.

use std::io;
use std::time::{Duration, Instant};

use session_core::accounts::Owner;
use session_core::engine::Condition;
use session_core::{Manager, Provider};

use super::engines::Engine;
use crate::measure::Effort;
use crate::report::{Section, Table};
use crate::stored::{id, scattered};
use crate::thread::Thread;
use crate::work::Shape;

/// The number of sessions that are ended together.
const ENDED: u64 = 1_000;
/// How many sessions the owner of a list has.
const LISTED: u64 = 10;
const HOUR: Duration = Duration::from_hours(1);

pub fn table() -> Table {
    Table::new([
        "engine",
        "ending 1,000 sessions of an owner, ms",
        "sessions stored",
        "listing 10 sessions of an owner among them, µs",
    ])
}

pub fn section(table: Table) -> Section {
    let note = "`Manager::end_all`, and `Manager::sessions_of` for one owner after the other; the \
                fastest of a few. Each owner has ten sessions. The store holds as many as were \
                written one after the other in a few seconds, and at most a million in memory and \
                100,000 elsewhere.";
    Section::new("owners-lists", "The index of owners: ending and listing", table).note(note.into())
}

/// Adds the row of an engine.
pub fn measure(engine: &Engine, thread: &Thread, effort: Effort, table: &mut Table) -> io::Result<()> {
    let name = engine.name;
    eprintln!("measuring owners: {name}, ending and listing");
    let manager = engine.manager()?;
    let most = if name == "memory" && !effort.quick { 1_000_000 } else { 100_000 };
    let how_long = Duration::from_millis(if effort.quick { 500 } else { 8_000 });
    let rounds = if effort.quick { 1 } else { 3 };
    let (ending, stored, listing) = thread
        .block_on(async {
            let mut ending = f64::INFINITY;
            for round in 0..rounds {
                ending = ending.min(end_all(&*engine.provider, &manager, round).await?);
            }
            let stored = fill(&*engine.provider, most, how_long).await?;
            Ok((ending, stored, list(&manager, stored, effort).await?))
        })
        .map_err(|error: session_core::Error| io::Error::other(error))?;
    table.line([
        name.to_owned(),
        format!("{:.1}", ending * 1e3),
        stored.to_string(),
        format!("{:.1}", listing * 1e6),
    ]);
    Ok(())
}

/// The user id of an owner of listed sessions.
fn user(number: u64) -> String {
    format!("owner-{number}")
}

async fn store(provider: &dyn Provider, number: u64, owner: &str) -> session_core::Result<()> {
    let mut record = Shape::USUAL.record(HOUR);
    record.header.owner = Some(Owner::of(owner));
    provider.write(&id(number), &record, Condition::Absent, HOUR).await.map(drop)
}

/// Seconds for all sessions of a user who has a thousand.
async fn end_all(provider: &dyn Provider, manager: &Manager, round: u64) -> session_core::Result<f64> {
    for number in 0..ENDED {
        store(provider, u64::MAX - round * ENDED - number, "busy").await?;
    }
    let begun = Instant::now();
    let ended = manager.end_all("busy").await?;
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(ended, ENDED, "all stored sessions have ended");
    Ok(took)
}

/// Stores sessions, ten for each owner, until there are enough or the time is over. Returns their
/// number.
async fn fill(provider: &dyn Provider, most: u64, how_long: Duration) -> session_core::Result<u64> {
    let begun = Instant::now();
    let mut stored = 0;
    while stored < most && begun.elapsed() < how_long {
        for number in stored..stored + LISTED {
            store(provider, number, &user(stored / LISTED)).await?;
        }
        stored += LISTED;
    }
    Ok(stored)
}

/// Seconds for the list of one owner: the fastest of a few rounds over many owners.
async fn list(manager: &Manager, stored: u64, effort: Effort) -> session_core::Result<f64> {
    let owners = stored / LISTED;
    let (mut best, mut number) = (f64::INFINITY, 0);
    for _ in 0..effort.repetitions {
        let (begun, first) = (Instant::now(), number);
        while begun.elapsed() < effort.batch {
            let listed = manager.sessions_of(&user(scattered(number, owners))).latest(20).await?;
            assert_eq!(listed.len() as u64, LISTED, "all of the owner's sessions are listed");
            number += 1;
        }
        best = best.min(begun.elapsed().as_secs_f64() / (number - first) as f64);
    }
    Ok(best)
}
