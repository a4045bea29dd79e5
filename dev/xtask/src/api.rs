//! `cargo xtask api`: the public API of every library that is published, compared with its listing
//! in `docs/api`.
//!
//! A change of the API thereby shows in the diff of a commit. The listings leave out blanket
//! implementations; they hold `Send`, `Sync` and the derived traits, which can break a user's code
//! as well.

use crate::publish::is_published;
use crate::tools::{cargo, list, metadata, output, text};
use serde_json::Value;
use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

/// It reads the JSON of the rustdoc of one range of compilers; `README.md` of its repository says
/// which.
const TOOL: [&str; 3] = ["cargo-public-api", "--version", "0.52.0"];

/// The rustdoc of another compiler writes other JSON, and lists other traits.
const COMPILER: &str = "rustc 1.95.";

/// Relative to the root of the repository.
const LISTINGS: &str = "docs/api";

const UPDATE: &str = "--update";

/// Lists, and compares or (with `--update`) writes the listings.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    if !matches!(arguments, [] | [UPDATE]) {
        return Err(io::Error::other(format!("the only argument is {UPDATE}, which writes {LISTINGS}")));
    }
    let compiler = output(Command::new("rustc").arg("--version"))?;
    if !compiler.starts_with(COMPILER) {
        println!("The listings are those of {COMPILER}*, and this is {compiler}: nothing is compared.");
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = metadata(&["--no-deps"])?;
    let target = Path::new(text(&workspace["target_directory"]));
    let tools = target.join("tools");
    output(cargo(&["install", "--quiet", "--locked", "--debug", "--root"]).arg(&tools).args(TOOL))?;
    document()?;
    let mut different = 0;
    for package in list(&workspace["packages"]).iter().filter(|package| is_published(package)) {
        let is_library = |target: &&Value| list(&target["kind"]).iter().any(|kind| text(kind) == "lib");
        let Some(library) = list(&package["targets"]).iter().find(is_library) else { continue };
        let json = target.join("doc").join(text(&library["name"])).with_extension("json");
        let mut tool = Command::new(tools.join("bin").join(TOOL[0]));
        let text_of = output(tool.args(["--omit", "blanket-impls", "--rustdoc-json"]).arg(&json))?;
        let is_now: String = text_of.split_inclusive('\n').filter(|line| !is_internal(line)).collect();
        let listing = Path::new(LISTINGS).join(text(&package["name"])).with_extension("txt");
        if arguments == [UPDATE] {
            fs::write(&listing, is_now)?;
        } else {
            different += compare(&listing, &is_now);
        }
    }
    if different == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("if that is meant: cargo xtask api {UPDATE}, and commit {LISTINGS}");
    Ok(ExitCode::FAILURE)
}

/// Writes `doc/*.json` of all libraries. The packages and features are those of the other checks,
/// so that nothing is compiled again.
fn document() -> io::Result<()> {
    let mut command = cargo(&["doc", "--quiet", "--workspace", "--lib", "--no-deps", "--all-features"]);
    let rustdoc = env::current_dir()?.join("dev/xtask/rustdoc-json");
    command.env("RUSTDOC", rustdoc).env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    output(&mut command).map(drop)
}

/// Whether a line is of a trait that only the compiler and panics use.
fn is_internal(line: &str) -> bool {
    const TRAITS: [&str; 5] = [
        "core::marker::Freeze for ",
        "core::marker::StructuralPartialEq for ",
        "core::marker::UnsafeUnpin for ",
        "core::panic::unwind_safe::RefUnwindSafe for ",
        "core::panic::unwind_safe::UnwindSafe for ",
    ];
    line.starts_with("impl") && TRAITS.iter().any(|name| line.contains(name))
}

/// Shows the lines that were added and removed, and counts them.
fn compare(listing: &Path, is_now: &str) -> usize {
    let was = fs::read_to_string(listing).unwrap_or_default();
    let removed = was.lines().filter(|line| !is_now.lines().any(|other| other == *line));
    let added = is_now.lines().filter(|line| !was.lines().any(|other| other == *line));
    let changes: Vec<_> =
        removed.map(|line| format!("- {line}")).chain(added.map(|line| format!("+ {line}"))).collect();
    if !changes.is_empty() {
        eprintln!("{}:\n{}", listing.display(), changes.join("\n"));
    }
    changes.len()
}
