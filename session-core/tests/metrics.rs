//! The docs and the dashboard list exactly the counters of the code.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

/// Returns the names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| word.starts_with("session_") && !word.ends_with('_');
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(is_name).collect()
}

#[test]
fn the_table_of_the_docs_and_the_dashboard_have_every_counter() {
    // Only string literals count; names of fields and functions are not in quotes.
    let code = concat!(
        include_str!("../src/observe.rs"),
        include_str!("../../session-cache/src/provider.rs"),
        include_str!("../../session-cache/src/bus.rs"),
    );
    let quoted: String = code.split('"').skip(1).step_by(2).flat_map(|text| [text, "\n"]).collect();
    let counted: BTreeSet<_> = names(&quoted);
    assert!(counted.contains("session_created") && counted.contains("session_operation_seconds"));

    let docs = include_str!("../../docs/guide/operations.md");
    let listed = names(docs);
    assert_eq!(counted.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the docs");
    let rows = docs.lines().filter(|line| line.starts_with("| `session_")).collect::<Vec<_>>().join("\n");
    let rows: BTreeSet<_> =
        rows.split('`').skip(1).step_by(2).filter(|word| word.starts_with("session_")).collect();
    assert_eq!(rows.difference(&counted).collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the code");

    let dashboard = include_str!("../../docs/grafana/sessions.json").replace("_seconds_bucket", "_seconds");
    assert_eq!(names(&dashboard), counted, "the dashboard");
}
