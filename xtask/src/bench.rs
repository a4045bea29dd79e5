//! `cargo xtask bench`: the measurements, built with optimization.

use crate::tools::cargo;
use std::io;
use std::process::ExitCode;

/// Runs `session-bench` with these arguments.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    let bench = ["run", "--quiet", "--release", "--package", "session-bench", "--"];
    let status = cargo(&bench).args(arguments).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
