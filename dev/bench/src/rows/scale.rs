//! What happens when there are many sessions: cost per request, cost of a collection, longest pause, memory.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::Provider;
use session_core::clock::{Clock as _, ManualClock};
use session_core::engine::Condition;
use session_core::id::StorageId;
use session_core::record::{Header, Record, Value};
use session_file::FileProvider;
use session_memory::MemoryProvider;
use session_mysql::{MySqlConfig, MySqlProvider};
use session_postgres::{PostgresConfig, PostgresProvider};
use session_servers::postgres::Postgres;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;

use crate::measure::Effort;
use crate::report::{Plot, Section, Table, Verdict};
use crate::rows::servers::start_mariadb;
use crate::stored::{self, Fill, id, scattered};
use crate::thread::Thread;
use crate::work::{COUNT, Shape};

const HOUR: Duration = Duration::from_hours(1);

/// A request on a full store costs at most so much more than on the same map without an engine, or on a small store.
const GROWTH: f64 = 1.3;
/// Inserting never takes longer, in microseconds: no shard grows for longer.
const PAUSE: f64 = 1_000.0;

/// Memory.
pub fn memory(effort: Effort) -> io::Result<Vec<Section>> {
    let most = if effort.quick { 100_000 } else { most_that_fits() };
    let mut table = Table::new([
        "sessions",
        "read + write, ns",
        "bare sharded map, ns",
        "longest insert, µs",
        "bytes per session",
        "counting, µs",
        "collecting a tenth: ns per expired",
        "longest batch of 1,000, µs",
    ]);
    let (mut ours, mut bare, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for sessions in powers(most) {
        let thread = Thread::new();
        let filled = thread.block_on(Filled::new(sessions));
        let (bytes, pause) = (bytes_per_session(sessions)?, filled.longest_insert);
        let (request, count) = thread.block_on(async {
            (requests(&filled.provider, sessions).await, counting(&filled.provider).await)
        });
        // A store of its own: the requests have kept every session alive. One at a time: they may be large.
        drop(filled);
        let (again, (collect, batch)) = thread.block_on(async {
            let filled = Filled::new(sessions).await;
            (filled.longest_insert, filled.collect_a_tenth().await)
        });
        // The longest of millions is longer still when the machine did something else: it does so once, the store each time.
        let pause = micros(pause.min(again));
        let map = bare_map(sessions);
        table.line([
            sessions.to_string(),
            format!("{request:.0}"),
            format!("{map:.0}"),
            format!("{pause:.0}"),
            bytes.to_string(),
            format!("{count:.1}"),
            format!("{collect:.0}"),
            format!("{batch:.0}"),
        ]);
        ours.push((sessions as f64, request));
        bare.push((sessions as f64, map));
        if sessions == most {
            let allowed = 1.5 * Shape::USUAL.bytes().len() as f64 + 200.0;
            verdicts.push(verdict("bytes per session", bytes as f64, allowed, "bytes"));
            verdicts.push(verdict("longest insert", pause, PAUSE, "µs"));
        }
    }
    let growth = |line: &[(f64, f64)]| line[line.len() - 1].1 / line[0].1;
    verdicts.push(verdict("growth of the cost per request", growth(&ours), GROWTH * growth(&bare), "x"));
    let lines = vec![("session-kit", ours), ("bare sharded map", bare)];
    let plot = Plot::Lines { across: "sessions stored", up: "read + write, ns", lines };
    let section = Section::new("growth-memory", "Many sessions: memory", table);
    Ok(vec![section.verdicts(verdicts).plot(plot)])
}

/// Files and SQL.
pub fn stores(effort: Effort) -> io::Result<Vec<Section>> {
    let mut table = Table::new([
        "engine",
        "sessions",
        "read + write, µs",
        "counting, ms",
        "collecting when nothing has expired, ms",
    ]);
    let (mut lines, mut verdicts) = (Vec::new(), Vec::new());
    for (engine, measured) in [
        ("file", file(if effort.quick { 10_000 } else { 100_000 })?),
        ("postgres", postgres(if effort.quick { 100_000 } else { 1_000_000 })?),
        ("mysql", mysql(if effort.quick { 100_000 } else { 1_000_000 })?),
    ] {
        for Size { sessions, request, count, collect } in &measured {
            let figures = [request / 1e3, count / 1e3, collect / 1e3];
            let figures = figures.map(|figure| format!("{figure:.1}"));
            table.line([&[engine.to_owned(), sessions.to_string()], &figures[..]].concat());
        }
        let line: Vec<_> = measured.iter().map(|size| (size.sessions as f64, size.request / 1e3)).collect();
        let growth = line[line.len() - 1].1 / line[0].1;
        verdicts.push(verdict(&format!("{engine}: growth of the cost per request"), growth, GROWTH, "x"));
        lines.push((engine, line));
    }
    let plot = Plot::Lines { across: "sessions stored", up: "read + write, µs", lines };
    let section = Section::new("growth-stores", "Many sessions: files and SQL", table);
    Ok(vec![section.verdicts(verdicts).plot(plot)])
}

fn verdict(what: &str, measured: f64, allowed: f64, unit: &str) -> Verdict {
    let text = |figure: f64| {
        if unit == "x" { format!("{figure:.2} {unit}") } else { format!("{figure:.0} {unit}") }
    };
    Verdict {
        what: what.into(),
        measured: text(measured),
        goal: format!("<= {}", text(allowed)),
        met: measured <= allowed,
    }
}

fn powers(most: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_000), |sessions| Some(sessions * 10)).take_while(move |s| *s <= most)
}

/// 10 million where there is room for them, and for what is left of the store before.
fn most_that_fits() -> u64 {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().split(' ').next());
    let free: u64 = free.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    if free > 12_000_000 { 10_000_000 } else { 1_000_000 }
}

/// One size of a store. Microseconds, but nanoseconds per request.
struct Size {
    sessions: u64,
    request: f64,
    count: f64,
    collect: f64,
}

impl Size {
    async fn measured(provider: &dyn Provider, sessions: u64) -> Self {
        Self {
            sessions,
            request: requests(provider, sessions).await,
            count: counting(provider).await,
            collect: {
                let begun = Instant::now();
                provider.gc(1_000).await.expect("collected");
                micros(begun.elapsed())
            },
        }
    }
}

fn file(most: u64) -> io::Result<Vec<Size>> {
    let directory = tempfile::tempdir()?;
    Thread::new().block_on(async {
        let provider = FileProvider::connect(directory.path()).await.map_err(io::Error::other)?;
        let (mut sizes, mut stored) = (Vec::new(), 0);
        for sessions in powers(most) {
            for number in stored..sessions {
                let record = Shape::USUAL.record(HOUR);
                provider
                    .write(&id(number), &record, Condition::Absent, HOUR)
                    .await
                    .map_err(io::Error::other)?;
            }
            stored = sessions;
            sizes.push(Size::measured(&provider, sessions).await);
        }
        Ok(sizes)
    })
}

fn postgres(most: u64) -> io::Result<Vec<Size>> {
    let server = Postgres::start_with(&["shared_buffers=1GB", "max_wal_size=4GB"])?;
    let config: PostgresConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = PgPool::connect(&server.url()).await.map_err(io::Error::other)?;
        let provider = PostgresProvider::connect(config.migrate(true)).await.map_err(io::Error::other)?;
        let (mut sizes, mut from) = (Vec::new(), 0);
        for to in powers(most) {
            stored::postgres(&pool, Fill { from, to, expired: 0 }).await.map_err(io::Error::other)?;
            from = to;
            sizes.push(Size::measured(&provider, to).await);
        }
        Ok(sizes)
    })
}

fn mysql(most: u64) -> io::Result<Vec<Size>> {
    let server = start_mariadb(&stored::MARIADB)?;
    let config: MySqlConfig = server.url().parse().map_err(io::Error::other)?;
    Thread::new().block_on(async {
        let pool = MySqlPool::connect(&server.admin_url()).await.map_err(io::Error::other)?;
        let provider = MySqlProvider::connect(config.migrate(true)).await.map_err(io::Error::other)?;
        let (mut sizes, mut from) = (Vec::new(), 0);
        for to in powers(most) {
            stored::mysql(&pool, Fill { from, to, expired: 0 }).await.map_err(io::Error::other)?;
            from = to;
            sizes.push(Size::measured(&provider, to).await);
        }
        Ok(sizes)
    })
}

/// Nanoseconds for a read and a conditional write, spread over all sessions: the fastest of a few rounds.
async fn requests(provider: &dyn Provider, sessions: u64) -> f64 {
    const ROUNDS: usize = 5;
    let round = async |first: u64, requests: u64| {
        let begun = Instant::now();
        for number in first..first + requests {
            let id = id(scattered(number, sessions));
            let read = provider.read(&id, HOUR).await.expect("read").expect("a session");
            let mut next = Record::new(read.header.next(), read.body.clone());
            next.body.insert(COUNT, Value::encode(&number).expect("encoded"));
            provider.write(&id, &next, Condition::Over(read.stamp()), HOUR).await.expect("stored");
        }
        begun.elapsed().as_secs_f64() * 1e9 / requests as f64
    };
    // About a fifth of a second each.
    let many = (2e8 / round(0, 200).await) as u64;
    let mut best = f64::INFINITY;
    for number in 1..=ROUNDS as u64 {
        best = best.min(round(number * many, many.max(1)).await);
    }
    best
}

async fn counting(provider: &dyn Provider) -> f64 {
    let begun = Instant::now();
    assert!(provider.count().await.expect("counted").is_some());
    micros(begun.elapsed())
}

/// A memory store with so many sessions, a tenth of them with a short idle time.
struct Filled {
    provider: MemoryProvider,
    clock: ManualClock,
    sessions: u64,
    longest_insert: Duration,
}

impl Filled {
    async fn new(sessions: u64) -> Self {
        let clock = ManualClock::default();
        let provider = MemoryProvider::builder().clock(Arc::new(clock.clone())).build().expect("a provider");
        let mut longest_insert = Duration::ZERO;
        for number in 0..sessions {
            let idle = if number % 10 == 0 { HOUR / 60 } else { HOUR };
            let (id, record) = (id(number), record(&clock, idle));
            let begun = Instant::now();
            provider.write(&id, &record, Condition::Absent, idle).await.expect("stored");
            longest_insert = longest_insert.max(begun.elapsed());
        }
        Self { provider, clock, sessions, longest_insert }
    }

    /// Nanoseconds for each expired session, and the longest batch in microseconds.
    async fn collect_a_tenth(self) -> (f64, f64) {
        // The tenth that lives for a minute ends now.
        self.clock.advance(HOUR / 30);
        let (mut removed, mut longest, begun) = (0, Duration::ZERO, Instant::now());
        loop {
            let batch = Instant::now();
            let count = self.provider.gc(1_000).await.expect("collected");
            longest = longest.max(batch.elapsed());
            removed += count as u64;
            if count < 1_000 {
                assert_eq!(removed, self.sessions / 10, "a tenth has expired");
                return (begun.elapsed().as_secs_f64() * 1e9 / removed as f64, micros(longest));
            }
        }
    }
}

/// A session on a clock of its own.
fn record(clock: &ManualClock, idle: Duration) -> Record {
    let now = clock.now();
    let body = Shape::USUAL.record(idle).body;
    Record::new(Header::new(now, now.after(HOUR * 24), now.after(idle)), body)
}

/// The same reads and writes on 256 hash maps of shared records behind a mutex each, and nothing else.
fn bare_map(sessions: u64) -> f64 {
    const ROUNDS: u64 = 5;
    const REQUESTS: u64 = 100_000;
    let clock = ManualClock::default();
    let shards: Vec<_> = (0..256).map(|_| Mutex::new(HashMap::<StorageId, Record>::new())).collect();
    let shard = |id: &StorageId| &shards[usize::from(id.as_bytes()[0])];
    for number in 0..sessions {
        let id = id(number);
        shard(&id).lock().expect("a shard").insert(id, record(&clock, HOUR));
    }
    let round = |first: u64| {
        let begun = Instant::now();
        for number in first..first + REQUESTS {
            let id = id(scattered(number, sessions));
            let read = shard(&id).lock().expect("a shard").get(&id).cloned().expect("a session");
            let mut next = Record::new(read.header.next(), read.body.clone());
            next.body.insert(COUNT, Value::encode(&number).expect("encoded"));
            shard(&id).lock().expect("a shard").insert(id, next);
        }
        begun.elapsed().as_secs_f64() * 1e9 / REQUESTS as f64
    };
    (0..ROUNDS).map(|number| round(number * REQUESTS)).fold(f64::INFINITY, f64::min)
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// The argument with which this program only fills a store, and says what that took.
pub const FILL: &str = "--fill";

/// In a process of its own: one that has freed memory before takes that again, and nothing is seen.
fn bytes_per_session(sessions: u64) -> io::Result<u64> {
    let output = Command::new(std::env::current_exe()?).args([FILL, &sessions.to_string()]).output()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(io::Error::other)
}

/// What such a process does.
pub fn fill(sessions: u64) -> u64 {
    let before = resident_bytes();
    let _filled = Thread::new().block_on(Filled::new(sessions));
    resident_bytes().saturating_sub(before) / sessions
}

/// What the process holds in memory, from `/proc`; zero where there is none.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
