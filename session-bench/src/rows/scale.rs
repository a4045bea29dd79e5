//! What happens when there are many sessions: cost per request, cost of a collection, longest pause, memory.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::{
    Body, Clock as _, Condition, Header, ManualClock, Provider as _, Record, StorageId, Value,
};
use session_memory::MemoryProvider;

use crate::peers;
use crate::work::{COUNT, USER, User};

const HOUR: Duration = Duration::from_hours(1);
/// How many requests are timed at each size.
const REQUESTS: u64 = 200_000;

/// A table of sizes, up to `most` sessions.
pub fn memory(most: u64) -> String {
    let mut text = String::from(
        "| sessions | read + write, ns | bare sharded map, ns | longest insert, µs | bytes per session | \
         collecting a tenth: ns per expired | longest batch of 1,000, µs |\n|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut sessions = 1_000;
    while sessions <= most {
        let ours = Filled::new(sessions);
        let (request, bare) = (ours.request(), bare_map(sessions));
        let (bytes, pause) = (ours.bytes_per_session, ours.longest_insert.as_secs_f64() * 1e6);
        // A store of its own: the requests above have kept every session alive.
        let (collect, batch) = Filled::new(sessions).collect_a_tenth();
        let _ = writeln!(
            text,
            "| {sessions} | {request:.0} | {bare:.0} | {pause:.0} | {bytes} | {collect:.0} | {batch:.0} |"
        );
        sessions *= 10;
    }
    text
}

fn record(clock: &ManualClock, idle: Duration) -> Record {
    let now = clock.now();
    let mut body = Body::default();
    body.insert(USER, Value::encode(&User::sample()).expect("encoded"));
    body.insert(COUNT, Value::encode(&1_u64).expect("encoded"));
    Record::new(Header::new(now, now.after(HOUR * 24), now.after(idle)), body)
}

/// Spreads numbers as a hash does.
fn id(number: u64) -> StorageId {
    let mut hash = [0; 32];
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for chunk in hash.chunks_mut(8) {
        state ^= state >> 31;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(number);
        chunk.copy_from_slice(&state.to_be_bytes());
    }
    StorageId::from_hash(hash)
}

/// A store with so many sessions, a tenth of them with a short idle time.
struct Filled {
    provider: MemoryProvider,
    clock: ManualClock,
    sessions: u64,
    bytes_per_session: u64,
    longest_insert: Duration,
}

impl Filled {
    fn new(sessions: u64) -> Self {
        let clock = ManualClock::default();
        let provider = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().expect("a provider");
        let before = resident_bytes();
        let mut longest_insert = Duration::ZERO;
        peers::runtime().block_on(async {
            for number in 0..sessions {
                let idle = if number % 10 == 0 { HOUR / 60 } else { HOUR };
                let (id, record) = (id(number), record(&clock, idle));
                let begun = Instant::now();
                provider.write(&id, &record, Condition::Absent, idle).await.expect("stored");
                longest_insert = longest_insert.max(begun.elapsed());
            }
        });
        let bytes_per_session = resident_bytes().saturating_sub(before) / sessions;
        Self { provider, clock, sessions, bytes_per_session, longest_insert }
    }

    /// Nanoseconds for a read and a conditional write, spread over all sessions.
    fn request(&self) -> f64 {
        peers::runtime().block_on(async {
            let begun = Instant::now();
            for number in 0..REQUESTS {
                let id = id(number.wrapping_mul(7_919) % self.sessions);
                let read = self.provider.read(&id, HOUR).await.expect("read").expect("a session");
                let mut next = Record::new(read.header.next(), read.body.clone());
                next.body.insert(COUNT, Value::encode(&number).expect("encoded"));
                let condition = Condition::Over(read.stamp());
                self.provider.write(&id, &next, condition, HOUR).await.expect("stored");
            }
            nanos(begun.elapsed(), REQUESTS)
        })
    }

    /// Nanoseconds for each expired session, and the longest batch.
    fn collect_a_tenth(self) -> (f64, f64) {
        // The tenth that lives for a minute ends now.
        self.clock.advance(HOUR / 30);
        peers::runtime().block_on(async {
            let (mut removed, mut longest, begun) = (0, Duration::ZERO, Instant::now());
            loop {
                let batch = Instant::now();
                let count = self.provider.gc(1_000).await.expect("collected");
                longest = longest.max(batch.elapsed());
                removed += count as u64;
                if count < 1_000 {
                    assert_eq!(removed, self.sessions / 10, "a tenth has expired");
                    return (nanos(begun.elapsed(), removed), longest.as_secs_f64() * 1e6);
                }
            }
        })
    }
}

/// The same reads and writes on 256 hash maps of shared records behind a mutex each, and nothing else.
fn bare_map(sessions: u64) -> f64 {
    let clock = ManualClock::default();
    let shards: Vec<_> = (0..256).map(|_| Mutex::new(HashMap::new())).collect();
    let shard = |id: &StorageId| &shards[usize::from(id.as_bytes()[0])];
    for number in 0..sessions {
        let id = id(number);
        shard(&id).lock().expect("a shard").insert(id, record(&clock, HOUR));
    }
    let begun = Instant::now();
    for number in 0..REQUESTS {
        let id = id(number.wrapping_mul(7_919) % sessions);
        let read = shard(&id).lock().expect("a shard").get(&id).cloned().expect("a session");
        let mut next = Record::new(read.header.next(), read.body.clone());
        next.body.insert(COUNT, Value::encode(&number).expect("encoded"));
        shard(&id).lock().expect("a shard").insert(id, next);
    }
    nanos(begun.elapsed(), REQUESTS)
}

fn nanos(took: Duration, pieces: u64) -> f64 {
    took.as_secs_f64() * 1e9 / pieces as f64
}

/// What the process holds in memory, from `/proc`; zero where there is none.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
