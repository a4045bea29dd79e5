//! How much memory a stored session takes: the growth of this process's resident memory, divided by
//! the sessions.
//!
//! `cargo run --release -p session-memory --example bytes_per_session [SESSIONS]` (Linux).
#![allow(clippy::print_stdout, reason = "it reports to a terminal")]

use std::time::{Duration, Instant};

use session_core::Provider as _;
use session_core::clock::{Clock as _, SystemClock, Timestamp};
use session_core::engine::Condition;
use session_core::id::{StorageId, Token};
use session_core::record::{Body, Header, Record, Value};
use session_memory::MemoryProvider;

const IDLE: Duration = Duration::from_secs(3600);
const PAGE: u64 = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |number| number.parse())?;
    let provider = MemoryProvider::new();
    let before = resident()?;
    let mut slowest = Duration::ZERO;
    let start = Instant::now();
    for number in 0..sessions {
        let (id, record) = (id(number)?, record()?);
        let write = Instant::now();
        provider.write(&id, &record, Condition::Absent, IDLE).await?;
        slowest = slowest.max(write.elapsed());
    }
    let created = start.elapsed();
    let encoded = record()?.encode()?.len() as u64;
    println!("{sessions} sessions, {encoded} bytes encoded; goal: {} bytes each", encoded * 3 / 2 + 200);
    println!("new: {} bytes each", (resident()? - before) / sessions);
    println!("created in {:?} each, the slowest in {slowest:?}", per(created, sessions));

    let start = Instant::now();
    for number in 0..sessions {
        let id = id(number)?;
        let seen = provider.read(&id, IDLE).await?.ok_or("a session is missing")?;
        let mut changed = Record::new(seen.header.next(), seen.body.clone());
        changed.body.insert("visits", Value::encode(&2)?);
        provider.write(&id, &changed, Condition::Over(seen.stamp()), IDLE).await?;
    }
    let changed = start.elapsed();
    println!("changed once: {} bytes each", (resident()? - before) / sessions);
    println!("read, changed and written in {:?} each", per(changed, sessions));
    Ok(())
}

fn id(number: u64) -> Result<StorageId, &'static str> {
    Ok(StorageId::of(&Token::new(&number.to_string()).ok_or("no token")?))
}

/// A session with a user of 240 bytes and a counter.
fn record() -> session_core::Result<Record> {
    let now = SystemClock.now();
    let mut body = Body::default();
    body.insert("user", Value::encode(&"x".repeat(238))?);
    body.insert("visits", Value::encode(&1)?);
    Ok(Record::new(Header::new(now, Timestamp::MAX, now.after(IDLE)), body))
}

fn per(total: Duration, sessions: u64) -> Duration {
    total / u32::try_from(sessions).unwrap_or(u32::MAX)
}

fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * PAGE)
}
