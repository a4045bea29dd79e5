//! `cargo xtask test`: every test, those that need a server included.

use crate::interrupt::Interrupt;
use crate::services::{PACKAGES, Services, docker};
use crate::tools::{cargo, works};
use session_servers::packages::{self, Package};
use session_servers::wheels;
use std::env;
use std::io;
use std::process::{Command, ExitCode};

/// The number of concurrent tests. Most of them wait for a deadline or a server, so more than one
/// per core can run.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

const DOCKER_COMPOSE: Package = Package { name: "docker-compose", binary: "docker-compose" };

/// Starts the servers, runs the tests, stops the servers. The exit code is the tests'.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    install()?;
    check_compose_file()?;
    let services = Services::start(&interrupt)?;
    let mut code = ExitCode::SUCCESS;
    for mut command in commands(arguments) {
        if env::var_os(TEST_THREADS).is_none() {
            command.env(TEST_THREADS, "16");
        }
        let status = interrupt.run(command.envs(services.environment()))?;
        if !status.success() {
            code = status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from);
        }
    }
    Ok(code)
}

/// The tests to run: all, or those in the arguments.
fn commands(arguments: &[&str]) -> Vec<Command> {
    let test =
        |which: &[&str], filter: &[&str]| cargo(&[&["test", "--no-fail-fast"], which, filter].concat());
    if !arguments.is_empty() {
        let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let (which, filter) = arguments.split_at(end);
        let filter = [&["--", "--include-ignored"], filter.get(1..).unwrap_or_default()].concat();
        return vec![test(which, &filter)];
    }
    // The measurements have no tests, and link every peer.
    let all = ["--workspace", "--exclude", "session-bench", "--all-features"];
    vec![
        test(&[&all[..], &["--tests"]].concat(), &["--", "--include-ignored"]),
        // Separate: ignored examples in the docs cannot be run.
        test(&[&all[..], &["--doc"]].concat(), &[]),
    ]
}

/// Installs the servers' packages. With Docker only the tests with private servers need them, and
/// they report missing ones.
pub fn install() -> io::Result<()> {
    if let Err(error) = wheels::ensure(wheels::ALL) {
        eprintln!("note: the tests of other versions of Redis will fail: {error}");
    }
    match packages::ensure(&PACKAGES.concat()) {
        Err(error) if docker() => {
            eprintln!("note: {error}");
            Ok(())
        }
        result => result,
    }
}

/// Checks `docker-compose.yml` with Docker itself.
fn check_compose_file() -> io::Result<()> {
    let mut command = if works("docker", &["compose", "version"]) {
        let mut docker = Command::new("docker");
        docker.arg("compose");
        docker
    } else if let Err(error) = packages::ensure(&[DOCKER_COMPOSE]) {
        eprintln!("note: docker-compose.yml is not checked: {error}");
        return Ok(());
    } else {
        Command::new("docker-compose")
    };
    let status = command.args(["--file", "docker-compose.yml", "config", "--quiet"]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("docker-compose.yml is not valid")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(arguments: &[&str]) -> Vec<String> {
        let line = |command: &Command| {
            command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        commands(arguments).iter().map(line).collect()
    }

    #[test]
    fn all_tests_run_by_default_and_ignored_ones_always() {
        assert_eq!(
            lines(&[]),
            [
                "test --no-fail-fast --workspace --exclude session-bench --all-features --tests -- --include-ignored",
                "test --no-fail-fast --workspace --exclude session-bench --all-features --doc",
            ]
        );
        assert_eq!(lines(&["-p", "a"]), ["test --no-fail-fast -p a -- --include-ignored"]);
        assert_eq!(lines(&["-p", "a", "--", "b"]), ["test --no-fail-fast -p a -- --include-ignored b"]);
    }
}
