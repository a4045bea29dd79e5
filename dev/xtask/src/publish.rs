//! `cargo xtask publish`: every crate that is published can be packaged, and its package builds by itself.

use crate::tools::{cargo, list, metadata, text};
use serde_json::Value;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Checks what a package must have, then packages and builds all of them, in the order in which they depend on each
/// other. Nothing is uploaded. ARGUMENTS are those of `cargo package`.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    let workspace = metadata(&["--no-deps"])?;
    let is_published = |package: &&Value| package["publish"].as_array().is_none_or(|to| !to.is_empty());
    let (published, kept): (Vec<&Value>, Vec<&Value>) =
        list(&workspace["packages"]).iter().partition(is_published);
    let mut wrong = 0;
    for package in &published {
        for missing in missing(package) {
            eprintln!("{}: {missing}", text(&package["name"]));
            wrong += 1;
        }
    }
    if wrong > 0 {
        return Ok(ExitCode::FAILURE);
    }
    let mut command = cargo(&["package", "--workspace", "--all-features", "--quiet"]);
    for package in kept {
        command.args(["--exclude", text(&package["name"])]);
    }
    let packaged = command.args(arguments).status()?.success();
    println!("{} packages: {}", published.len(), if packaged { "ok" } else { "failed" });
    Ok(if packaged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a package does not say of itself.
fn missing(package: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    for field in ["description", "license", "repository", "readme", "rust_version"] {
        if text(&package[field]).is_empty() {
            missing.push(format!("Cargo.toml has no `{field}`"));
        }
    }
    if package["metadata"]["docs"]["rs"].is_null() {
        missing.push("Cargo.toml has no `package.metadata.docs.rs`".to_owned());
    }
    let folder = Path::new(text(&package["manifest_path"])).parent().unwrap_or(Path::new("."));
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !folder.join(file).is_file() {
            missing.push(format!("there is no {file}: link the one of the root"));
        }
    }
    missing
}
