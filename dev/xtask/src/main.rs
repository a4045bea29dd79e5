//! The chores of this workspace: `cargo xtask …`.
#![allow(clippy::print_stdout)] // it talks to a person

mod bench;
mod dependencies;
mod features;
mod interrupt;
mod publish;
mod services;
mod test;
mod tools;

use std::env;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [ARGUMENTS]  all tests, with the servers they need; ARGUMENTS are cargo test's
                              (by default --workspace --all-features)
cargo xtask services          start the servers, say where they are, and keep them until Ctrl-C
cargo xtask bench [ARGUMENTS] measure against the peers, with the servers that it takes: --only GROUP,… (a wrong
                              name shows all), --quick, --save DIR (benchmarks.md and its plots; DIR is docs)
cargo xtask features          session-kit with each feature alone: it builds and links no other engine
cargo xtask dependencies      no dependency of a crate asks for a newer Rust than the crate says
cargo xtask publish           every published crate is packaged, and each package builds by itself; nothing is uploaded";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let result = env::set_current_dir(root).and_then(|()| match &arguments[..] {
        ["test", rest @ ..] => test::run(rest),
        ["services"] => services::run(),
        ["bench", rest @ ..] => bench::run(rest),
        ["features"] => features::run(),
        ["dependencies"] => dependencies::run(),
        ["publish", rest @ ..] => publish::run(rest),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    });
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
