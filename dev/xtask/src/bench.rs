//! `cargo xtask bench`: the measurements, built as a fast service is: profile `bench`.

use crate::services::PACKAGES;
use crate::tools::cargo;
use session_servers::packages;
use std::io;
use std::process::ExitCode;

/// Runs `session-bench` with these arguments. It starts the servers that it needs by itself.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    // Whether they are needed depends on the arguments: what starts a server that is missing says so.
    if let Err(error) = packages::ensure(&PACKAGES.concat()) {
        eprintln!("note: {error}");
    }
    let bench = ["run", "--quiet", "--profile", "bench", "--package", "session-bench", "--"];
    // An incremental build takes this workspace apart into more pieces, which are optimized less well than the peers.
    let status = cargo(&bench).args(arguments).env("CARGO_INCREMENTAL", "0").status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
