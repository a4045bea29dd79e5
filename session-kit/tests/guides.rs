//! A reader who copies the examples of a page finds there all that they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Crates that examples use, as code writes them.
const CRATES: [&str; 15] = [
    "actix_session",
    "actix_web",
    "async_trait",
    "axum",
    "axum_test",
    "poem",
    "serde",
    "session_core",
    "session_kit",
    "session_memory",
    "session_tower_sessions",
    "tokio",
    "tower",
    "tower_http",
    "tower_sessions",
];

/// Modules of `session_kit` behind a feature of their name.
const FEATURES: [&str; 14] = [
    "actix",
    "cache",
    "cookie",
    "couchbase",
    "file",
    "memcache",
    "memory",
    "mysql",
    "poem",
    "postgres",
    "redis",
    "sqlite",
    "test",
    "tower",
];

/// The blocks of code of a page: their language with its attributes, and their lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, Vec::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    blocks
}

/// Whether code names a path that begins so, and not only one that ends so.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
    })
}

/// Whether code uses a module of `session_kit`, by its path or in a group of imports.
fn uses_module(code: &str, module: &str) -> bool {
    let grouped = |line: &str| {
        let group = line.strip_prefix("use session_kit::{")?;
        Some(group.split([',', '}']).any(|item| item.trim().starts_with(&format!("{module}::"))))
    };
    names(code, &format!("session_kit::{module}::")) || code.lines().any(|line| grouped(line) == Some(true))
}

/// The parts that are missing on a page, in words.
fn missing(page: &str) -> Vec<String> {
    let blocks = blocks(page);
    let mut missing = Vec::new();
    let mut dependencies = BTreeMap::<String, String>::new();
    for (_, lines) in blocks.iter().filter(|(language, _)| *language == "toml") {
        let mut table = "[dependencies]";
        let mut keys = BTreeSet::new();
        for line in lines {
            if line.starts_with('[') {
                table = line;
            } else if let Some((name, value)) = line.split_once(" = ") {
                if !keys.insert((table, name)) {
                    missing.push(format!("{name} is there twice, which Cargo refuses"));
                }
                *dependencies.entry(name.replace('-', "_")).or_default() += value;
            }
        }
    }
    // Named in the text, for one example of several.
    for span in page.split('`').filter_map(|span| span.split_once(" = ")) {
        dependencies.entry(span.0.replace('-', "_")).or_default().push_str(span.1);
    }
    let has = |name: &str, feature: &str| {
        dependencies.get(name).is_some_and(|value| value.contains(&format!("\"{feature}\"")))
            || page.contains(&format!("the feature `{feature}`"))
    };
    for (language, lines) in blocks.iter().filter(|(language, _)| language.starts_with("rust")) {
        if let Some(line) = lines.iter().find(|line| line.starts_with("# ")) {
            missing.push(format!("a reader of the file sees the hidden line {line:?}"));
        }
        if language.contains("ignore") {
            continue;
        }
        let code = lines.join("\n");
        for name in CRATES {
            if (names(&code, &format!("{name}::"))) && !dependencies.contains_key(name) {
                missing.push(format!("{name} is not among the dependencies"));
            }
        }
        for feature in FEATURES {
            if uses_module(&code, feature) && !has("session_kit", feature) {
                missing.push(format!("session-kit needs the feature {feature}"));
            }
        }
        if code.contains("#[tokio::") && !(has("tokio", "macros") && has("tokio", "rt-multi-thread")) {
            missing.push("tokio needs the features macros and rt-multi-thread".to_owned());
        }
        if code.contains("derive(") && names(&code, "serde::") && !has("serde", "derive") {
            missing.push("serde needs the feature derive".to_owned());
        }
    }
    missing
}

#[test]
fn each_guide_names_what_its_examples_need() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![
        root.join("../README.md"),
        root.join("../session-cache/README.md"),
        root.join("../session-poem/README.md"),
        root.join("../session-tower/README.md"),
        root.join("../session-tower-sessions/README.md"),
    ];
    pages.extend(fs::read_dir(root.join("guide")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(pages.len() > 15, "{pages:?}");
    let mut wrong = Vec::new();
    for page in pages {
        for missing in missing(&fs::read_to_string(&page).unwrap()) {
            wrong.push(format!("{}: {missing}", page.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_page_leaves_out_is_reported() {
    let page = "```toml\naxum = \"0.8\"\naxum = \"0.8\"\nsession-kit = \"0.1\"\n```\n\n```rust\n# fn main() {\n\
                use session_kit::{Manager, memory::MemoryProvider};\nuse serde::Deserialize;\n#[tokio::main]\n```\n";
    let missing = missing(page);
    for expected in
        ["axum is there twice", "hidden line", "serde is not", "the feature memory", "tokio needs"]
    {
        assert!(missing.iter().any(|said| said.contains(expected)), "{expected}: {missing:?}");
    }
}
