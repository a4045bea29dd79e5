//! The pages on security and on proof name tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all functions in the sources under a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let after_fn = text.split("fn ").skip(1);
            names.extend(after_fn.map(|rest| {
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
            }));
        }
    }
}

#[test]
fn every_test_that_the_pages_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut known = BTreeSet::new();
    for parent in [root.clone(), root.join("dev")] {
        for entry in fs::read_dir(parent).unwrap().flatten() {
            for folder in ["src", "tests"] {
                functions(&entry.path().join(folder), &mut known);
            }
        }
    }
    for (name, at_least) in [("docs/security.md", 20), ("docs/how-we-know.md", 20), ("README.md", 4)] {
        let page = fs::read_to_string(root.join(name)).unwrap();
        let quoted = page.split('`').skip(1).step_by(2);
        let tests =
            quoted.filter(|text| text.matches('_').count() >= 3 && text.starts_with(char::is_lowercase));
        let tests: Vec<_> = tests.filter_map(|text| text.rsplit("::").next()).collect();
        assert!(tests.len() >= at_least, "{name}: {tests:?}");
        let missing: Vec<_> = tests.iter().filter(|name| !known.contains(**name)).collect();
        assert!(missing.is_empty(), "{name} names tests that do not exist: {missing:#?}");
    }
}
