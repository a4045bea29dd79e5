//! `cargo xtask test`: every test, those that need a server included.

use crate::interrupt::Interrupt;
use crate::services::{PACKAGES, Services, docker};
use crate::tools::{cargo, works};
use session_servers::packages::{self, Package};
use std::io;
use std::process::{Command, ExitCode};

const DOCKER_COMPOSE: Package = Package { name: "docker-compose", binary: "docker-compose" };

/// Starts the servers, runs the tests, stops the servers. The exit code is the tests'.
pub fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    install()?;
    check_compose_file()?;
    let services = Services::start(&interrupt)?;
    let (which, filter) = match arguments.iter().position(|argument| *argument == "--") {
        Some(end) => (&arguments[..end], &arguments[end + 1..]),
        None => (arguments, &[][..]),
    };
    let which = if which.is_empty() { &["--workspace", "--all-features"] } else { which };
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(which).args(["--", "--include-ignored"]).args(filter).envs(services.environment());
    let status = interrupt.run(&mut command)?;
    drop(services);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Installs what the servers need. With a Docker engine only the tests that start a server of their own
/// need it, and they say so.
pub fn install() -> io::Result<()> {
    match packages::ensure(&PACKAGES.concat()) {
        Err(error) if docker() => {
            eprintln!("note: {error}");
            Ok(())
        }
        result => result,
    }
}

/// `docker-compose.yml` is right also in the eyes of the tool that reads it.
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
