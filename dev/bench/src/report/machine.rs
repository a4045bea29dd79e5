//! On what it was measured, and with which versions.

use std::fs;

use crate::cores;

/// The crates whose versions belong to the figures.
const CRATES: [&str; 15] = [
    "actix-session",
    "actix-web",
    "axum",
    "axum_session",
    "axum_session_redispool",
    "axum_session_sqlx",
    "couchbase",
    "fred",
    "memcache",
    "redis",
    "sqlx",
    "tokio",
    "tower-sessions",
    "tower-sessions-redis-store",
    "tower-sessions-sqlx-store",
];

/// A paragraph about the machine and the versions.
pub fn description() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpu, "model name").unwrap_or("unknown processor");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field(&memory, "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
    let memory = memory.map(|kib| format!(", {} GB", kib / 1_000_000)).unwrap_or_default();
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} cores, {model}{memory}, {} {}. Clients run on the first core, servers on the others, and are reached over the \
         loopback.\n\nCrates: {}.",
        cores::count(),
        std::env::consts::OS,
        system.trim(),
        versions().join(", ")
    )
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':')).map(|(_, value)| value.trim())
}

/// As locked; of some there are two, because a peer is made for an older one.
fn versions() -> Vec<String> {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let mut lines = lock.lines();
    let mut versions = Vec::new();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("name = \"").and_then(|name| name.strip_suffix('"'));
        let Some(name) = name.filter(|name| CRATES.contains(name)) else { continue };
        let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
        versions.extend(version.map(|version| format!("{name} {version}")));
    }
    versions
}
