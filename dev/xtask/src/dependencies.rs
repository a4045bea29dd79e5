//! `cargo xtask dependencies`: the Rust version that a crate promises is enough for what it depends on.

use crate::tools::{list, metadata, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::ExitCode;

type Version = Vec<u32>;

/// Compares the `rust-version` of each crate with those of all its dependencies, as they are locked.
pub fn run() -> io::Result<ExitCode> {
    let wrong = too_new(&metadata(&["--all-features", "--filter-platform", "x86_64-unknown-linux-gnu"])?);
    for line in &wrong {
        eprintln!("{line}");
    }
    println!("rust-version: {}", if wrong.is_empty() { "ok" } else { "too low" });
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line for each dependency that asks for more than the crate of ours that uses it.
fn too_new(workspace: &Value) -> Vec<String> {
    let packages: BTreeMap<&str, &Value> =
        list(&workspace["packages"]).iter().map(|package| (text(&package["id"]), package)).collect();
    let edges: BTreeMap<&str, Vec<&str>> =
        list(&workspace["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), needed(node))).collect();
    let mut wrong = Vec::new();
    for member in list(&workspace["workspace_members"]).iter().map(text) {
        let promised = version(packages[member]);
        let mut seen = BTreeSet::from([member]);
        let mut next = vec![member];
        while let Some(id) = next.pop() {
            next.extend(edges[id].iter().filter(|dependency| seen.insert(dependency)));
        }
        for dependency in seen.iter().map(|id| packages[id]).filter(|package| version(package) > promised) {
            wrong.push(format!(
                "{} says Rust {}, and {} {} needs {}",
                text(&packages[member]["name"]),
                text(&packages[member]["rust_version"]),
                text(&dependency["name"]),
                text(&dependency["version"]),
                text(&dependency["rust_version"]),
            ));
        }
    }
    wrong
}

/// What a crate is built with: its dependencies and build dependencies, not those of its tests.
fn needed(node: &Value) -> Vec<&str> {
    let built_with =
        |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    list(&node["deps"]).iter().filter(built_with).map(|dependency| text(&dependency["pkg"])).collect()
}

/// The `rust-version` of a package, by numbers; the lowest of all where it has none.
fn version(package: &Value) -> Version {
    let mut numbers: Version =
        text(&package["rust_version"]).split('.').map_while(|number| number.parse().ok()).collect();
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_named_and_those_of_tests_are_not() {
        let depends = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let workspace = json!({
            "workspace_members": ["ours"],
            "packages": [
                { "id": "ours", "name": "ours", "version": "1.0.0", "rust_version": "1.88" },
                { "id": "old", "name": "old", "version": "1.0.0", "rust_version": "1.9.0" },
                { "id": "same", "name": "same", "version": "1.0.0", "rust_version": "1.88.0" },
                { "id": "new", "name": "new", "version": "2.1.0", "rust_version": "1.90" },
                { "id": "test", "name": "test", "version": "1.0.0", "rust_version": "1.99" },
            ],
            "resolve": { "nodes": [
                { "id": "ours", "deps": [depends("old", Value::Null), depends("test", json!("dev"))] },
                { "id": "old", "deps": [depends("same", Value::Null), depends("new", json!("build"))] },
                { "id": "same", "deps": [] },
                { "id": "new", "deps": [] },
                { "id": "test", "deps": [] },
            ]},
        });
        assert_eq!(too_new(&workspace), ["ours says Rust 1.88, and new 2.1.0 needs 1.90"]);
    }
}
