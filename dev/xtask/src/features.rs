//! `cargo xtask features`: session-kit builds with each feature alone, knows the engines of that
//! feature, and links no other. With `--no-check` only what it links is compared, which takes a second
//! instead of minutes.

use crate::tools::{cargo, list, metadata, output, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;

/// The drivers that only their engine may link.
const DRIVERS: &[(&str, &[&str])] = &[
    ("mysql", &["sqlx-mysql"]),
    ("postgres", &["sqlx-postgres"]),
    ("sqlite", &["sqlx-sqlite"]),
    ("redis", &["redis"]),
    ("memcache", &["memcache"]),
    ("couchbase", &["couchbase"]),
    ("cookie", &[]),
    ("actix", &["actix-web"]),
    ("actix-session", &["actix-session"]),
    ("poem", &["poem"]),
    ("tower", &[]),
];

const NO_CHECK: &str = "--no-check";

/// Checks every feature of session-kit.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    if !matches!(arguments, [] | [NO_CHECK]) {
        return Err(io::Error::other(format!("the only argument is {NO_CHECK}, which builds nothing")));
    }
    let workspace = metadata(&["--no-deps"])?;
    let Some(kit) = list(&workspace["packages"]).iter().find(|package| package["name"] == "session-kit")
    else {
        println!("there is no session-kit yet: nothing to check");
        return Ok(ExitCode::SUCCESS);
    };
    let mut wrong = 0;
    for feature in single_features(kit) {
        let only = ["--package", "session-kit", "--no-default-features", "--features", &feature];
        let works = arguments == [NO_CHECK] || (builds(&only)? && knows_its_engines(&only)?);
        let tree =
            output(cargo(&["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]).args(only))?;
        let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        let strangers = strangers(&feature, &linked);
        let verdict = match (works, strangers.is_empty()) {
            (true, true) => "ok".to_owned(),
            (false, _) => "does not build without warnings, or knows other engines".to_owned(),
            (true, false) => format!("links {}", strangers.join(", ")),
        };
        wrong += u32::from(verdict != "ok");
        println!("session-kit, only {feature}: {} crates: {verdict}", linked.len());
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn builds(only: &[&str]) -> io::Result<bool> {
    let check = cargo(&["check", "--quiet"]).args(only).output()?;
    let messages = String::from_utf8_lossy(&check.stderr);
    eprint!("{messages}");
    Ok(check.status.success() && !messages.contains("warning: "))
}

fn knows_its_engines(only: &[&str]) -> io::Result<bool> {
    Ok(cargo(&["test", "--quiet", "--test", "registry"]).args(only).status()?.success())
}

/// The features for one engine or framework: without `default` and those that enable several
/// engines.
fn single_features(kit: &Value) -> Vec<String> {
    let Some(features) = kit["features"].as_object() else { return Vec::new() };
    let engines = |switched_on: &Value| {
        let names = list(switched_on).iter().map(text);
        names
            .filter(|name| {
                DRIVERS.iter().any(|(engine, _)| name.trim_start_matches("dep:session-") == *engine)
            })
            .count()
    };
    // Sorted, since the order of the map depends on the features of other crates.
    let alone = features.iter().filter(|(name, on)| *name != "default" && engines(on) < 2);
    alone.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The engines and drivers among the linked crates that the feature (`redis`, `redis-cluster`) did
/// not ask for.
fn strangers<'a>(feature: &str, linked: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let others = || DRIVERS.iter().filter(|(engine, _)| !feature.starts_with(engine));
    linked
        .iter()
        .copied()
        .filter(|name| {
            others().any(|(engine, drivers)| drivers.contains(name) || *name == format!("session-{engine}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn another_engine_and_its_driver_are_reported() {
        let linked =
            BTreeSet::from(["session-core", "session-redis", "redis", "sqlx-mysql", "session-cookie"]);
        assert_eq!(strangers("redis-cluster", &linked), ["session-cookie", "sqlx-mysql"]);
        assert!(strangers("memory", &BTreeSet::from(["session-memory", "tokio"])).is_empty());
    }

    #[test]
    fn features_that_enable_several_engines_are_excluded() {
        let kit = json!({ "features": {
            "default": ["redis"],
            "redis": ["dep:session-redis"],
            "redis-cluster": ["redis", "session-redis/cluster"],
            "all": ["redis", "mysql"],
            "mysql": ["dep:session-mysql"],
        }});
        assert_eq!(single_features(&kit), ["mysql", "redis", "redis-cluster"]);
    }
}
