//! `cargo xtask instructions`: counts the instructions of the hot paths and compares them with a
//! budget.
//!
//! A count is independent of the load on the machine: it shows a change of a few per cent, which a
//! clock would hide in noise. Counts vary by at most 0.3 % between runs, because of random ids and
//! hash seeds. It depends on the compiler and the processor's family; the budget names the ones for
//! which it holds.
//!
//! Callgrind is called directly. gungraun, the maintained harness over it, compares with the
//! previous run instead of a committed file, and needs a second program of exactly its version.

use crate::tools::{cargo, output};
use serde_json::Value;
use session_servers::packages::{self, Package};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const VALGRIND: Package = Package { name: "valgrind", binary: "valgrind" };

const BUDGET: &str = "dev/instructions/budget.toml";

/// The tolerance in both directions: an improvement needs a new budget.
const TOLERANCE: f64 = 0.03;

/// The requests of two runs. Their difference excludes one-time work of the process.
const REQUESTS: [u32; 2] = [500, 2_500];

const UPDATE: &str = "--update";

/// Counts, and compares or (with `--update`) writes the budget.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    if !matches!(arguments, [] | [UPDATE]) {
        return Err(io::Error::other(format!("the only argument is {UPDATE}, which writes {BUDGET}")));
    }
    packages::ensure(&[VALGRIND])?;
    let program = build()?;
    let written = fs::read_to_string(BUDGET)?;
    let toolchain = toolchain()?;
    let mut counted = Vec::new();
    for (path, budget) in budget(&written)? {
        let count = count(&program, path)?;
        let change = f64::from(count) / f64::from(budget) - 1.0;
        println!("{path:<26}{count:>8} instructions, budget {budget:>8}, {:+.1} %", change * 100.0);
        counted.push((path, count, change));
    }
    if arguments == [UPDATE] {
        fs::write(BUDGET, updated(&written, &toolchain, &counted))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !written.contains(&format!("# {toolchain}\n")) {
        println!("The budget is for another compiler than {toolchain}: nothing is compared.");
        return Ok(ExitCode::SUCCESS);
    }
    let beyond: Vec<_> = counted.iter().filter(|(.., change)| change.abs() > TOLERANCE).collect();
    for (path, ..) in &beyond {
        eprintln!("{path}: differs from its budget by more than {:.0} %", TOLERANCE * 100.0);
    }
    if beyond.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("if that is intended: cargo xtask instructions {UPDATE}, and commit {BUDGET} with the reason");
    Ok(ExitCode::FAILURE)
}

/// The program, built with the optimized profile.
fn build() -> io::Result<PathBuf> {
    let arguments = [
        "build",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "session-instructions",
        "--message-format",
        "json",
    ];
    let text_of = output(cargo(&arguments).env("CARGO_INCREMENTAL", "0"))?;
    let messages = text_of.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().ok_or_else(|| io::Error::other("cargo names no program"))
}

/// The compiler and the processor's family.
fn toolchain() -> io::Result<String> {
    let version = output(Command::new("rustc").arg("--version"))?;
    let version = version.split(' ').nth(1).unwrap_or_default();
    Ok(format!("rustc {version}, {}", std::env::consts::ARCH))
}

/// The paths and their instructions per request.
fn budget(written: &str) -> io::Result<Vec<(&str, u32)>> {
    let lines = written.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let parsed = lines.map(|line| {
        let (path, count) = line.split_once('=')?;
        Some((path.trim(), count.trim().parse().ok()?))
    });
    let wrong = || io::Error::other(format!("{BUDGET}: a line is a comment or `path = instructions`"));
    parsed.collect::<Option<_>>().ok_or_else(wrong)
}

/// The same file with these counts.
fn updated(written: &str, toolchain: &str, counted: &[(&str, u32, f64)]) -> String {
    let comments = written.lines().take_while(|line| line.starts_with('#') && !line.starts_with("# rustc"));
    let mut lines: Vec<String> = comments.map(str::to_owned).collect();
    lines.push(format!("# {toolchain}"));
    lines.extend(counted.iter().map(|(path, count, _)| format!("{path} = {count}")));
    lines.join("\n") + "\n"
}

/// Instructions per request on a path.
fn count(program: &Path, path: &str) -> io::Result<u32> {
    let [few, many] = REQUESTS;
    let more = collected(program, path, many)?.saturating_sub(collected(program, path, few)?);
    u32::try_from(more / u64::from(many - few)).map_err(io::Error::other)
}

/// All instructions of a run, as callgrind counts them.
fn collected(program: &Path, path: &str, requests: u32) -> io::Result<u64> {
    let mut callgrind = Command::new("valgrind");
    callgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).arg(path);
    let run = callgrind.arg(requests.to_string()).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.filter(|_| run.status.success()).ok_or_else(|| io::Error::other(format!("{path}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "# What it is.\n# rustc 1.0.0, x86_64\nread = 10\nwrite = 20\n";

    #[test]
    fn a_budget_is_read_and_a_wrong_line_is_an_error() {
        assert_eq!(budget(WRITTEN).unwrap(), [("read", 10), ("write", 20)]);
        assert!(budget("read = many\n").is_err());
    }

    #[test]
    fn an_update_keeps_the_comment_and_names_the_compiler() {
        let counted = [("read", 11, 0.1), ("write", 20, 0.0)];
        let expected = "# What it is.\n# rustc 2.0.0, x86_64\nread = 11\nwrite = 20\n";
        assert_eq!(updated(WRITTEN, "rustc 2.0.0, x86_64", &counted), expected);
    }
}
