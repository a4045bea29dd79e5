//! The table of engines in the README says what the engines declare.
#![cfg(all(
    feature = "memory",
    feature = "file",
    feature = "cookie",
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite",
    feature = "memcache",
    feature = "couchbase"
))]

use session_kit::engine::{Durability, OwnerIndex};
use session_kit::{Capabilities, ConnectOptions, connect};
use session_servers::compose;

const README: &str = include_str!("../../README.md");

/// The row of an engine, as its capabilities have it.
fn row(engine: &str, capabilities: &Capabilities) -> String {
    let Capabilities { client_side, slides_on_read, native_expiry, enumerable, .. } = *capabilities;
    let guarantees = if client_side { "no: the client holds the record" } else { "yes" };
    let slides = match (slides_on_read, client_side) {
        (true, _) => "with every read",
        (false, true) => "with a new cookie, once per `touch_after`",
        (false, false) => "with a write, once per `touch_after`",
    };
    let granularity = match capabilities.expiry_granularity.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        millis => format!("{} s", millis / 1_000),
    };
    let expired = match (native_expiry, client_side) {
        (_, true) => "end by themselves",
        (true, false) => "removed by the server",
        (false, false) => "collected",
    };
    let counted = if enumerable { "yes" } else { "no" };
    let of_user = match capabilities.owner_index {
        OwnerIndex::None => "no",
        OwnerIndex::EndsAll => "ended together",
        OwnerIndex::BestEffort => "listed, unless a full server forgot them",
        OwnerIndex::Exact => "listed",
        other => panic!("a word for {other:?}"),
    };
    let survive = match capabilities.durability {
        Durability::Process => "nothing: they end with the process",
        Durability::Crash => "a crash",
        Durability::Disk => "a loss of power",
        Durability::Server => "what the server is configured for",
        Durability::Client => "everything: clients may bring them back",
        other => panic!("a word for {other:?}"),
    };
    let largest = match capabilities.max_record_bytes {
        None => "as configured".to_owned(),
        Some(bytes) if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        Some(bytes) => format!("{} kB", bytes / 1_000),
    };
    format!(
        "| `{engine}` | {guarantees} | {slides} | {granularity} | {expired} | {counted} | {of_user} | {survive} | {largest} |"
    )
}

/// Connects the engine and holds its row against what it declares.
async fn assert_row(engine: &str, config: &str) {
    let provider = connect(engine, ConnectOptions::new(config)).await.expect("the engine connects");
    let row = row(engine, &provider.capabilities());
    assert!(README.lines().any(|line| line == row), "the README should have the line\n{row}");
}

#[tokio::test]
async fn each_row_of_the_readme_is_what_the_engine_declares() {
    let directory = tempfile::tempdir().unwrap();
    let key = r#"{"securityKey":"dGhpcyBpcyBvbmx5IGZvciB0aGlzIHRlc3Qgb2Yga2V5"}"#;
    let database = directory.path().join("sessions.db");
    for (engine, config) in [
        ("memory", ""),
        ("sqlite", database.to_str().unwrap()),
        ("file", directory.path().to_str().unwrap()),
        ("cookie", key),
    ] {
        assert_row(engine, config).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: cargo xtask test"]
async fn each_row_of_a_server_engine_is_what_it_declares() {
    for (engine, service) in [
        ("mysql", compose::MYSQL),
        ("postgres", compose::POSTGRES),
        ("redis", compose::REDIS),
        ("memcache", compose::MEMCACHE),
        ("couchbase", compose::COUCHBASE),
    ] {
        let sql = matches!(engine, "mysql" | "postgres");
        let config = service.address() + if sql { "?migrate=true" } else { "" };
        assert_row(engine, &config).await;
    }
}

/// Names under which an engine is known besides the name of its feature.
const ALIASES: [&str; 6] =
    ["mariadb", "memcached", "postgresql", "redis_cluster", "redis_sentinel", "valkey"];

#[test]
fn every_engine_of_this_build_has_a_row() {
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    let mut engines = session_kit::engines();
    engines.retain(|name| !ALIASES.contains(&name.as_str()));
    assert_eq!(rows, engines);
}
