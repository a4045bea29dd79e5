//! The tasks of this workspace: `cargo xtask …`.
#![allow(clippy::print_stdout)] // a program for people

mod api;
mod bench;
mod dependencies;
mod features;
mod instructions;
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
cargo xtask services          start the servers, print their addresses, and keep them until Ctrl-C
cargo xtask bench [ARGUMENTS] measure against the peers, with the servers they need: --only GROUP,… (a wrong
                              name shows all), --quick, --save DIR (benchmarks.md and its plots; DIR is docs)
cargo xtask instructions      count the instructions of a request, and compare with dev/instructions/budget.toml;
                              --update writes it
cargo xtask features          check that session-kit builds with each feature alone, and has no other engine
                              (--no-check: without the builds)
cargo xtask dependencies      check that no dependency needs a newer Rust than its crate declares
cargo xtask publish           package every published crate and build each package; nothing is uploaded
                              (--no-verify: without the builds)
cargo xtask api               compare the public API of each library with its listing in docs/api; --update writes it";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let result = env::set_current_dir(root).and_then(|()| match &arguments[..] {
        ["test", rest @ ..] => test::run(rest),
        ["services"] => services::run(),
        ["bench", rest @ ..] => bench::run(rest),
        ["instructions", rest @ ..] => instructions::run(rest),
        ["features", rest @ ..] => features::run(rest),
        ["dependencies"] => dependencies::run(),
        ["publish", rest @ ..] => publish::run(rest),
        ["api", rest @ ..] => api::run(rest),
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
