//! What the tests share: the built binary, and sessions that an application would have stored.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use session_kit::accounts::Device;
use session_kit::id::Token;
use session_kit::{ConnectOptions, Manager, Provider};

/// A spec as `--engine` takes it.
pub fn spec(engine: &str, config: impl std::fmt::Display) -> String {
    format!("{engine}={config}")
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessionctl"));
    command.args(args).env_remove("SESSIONCTL_ENGINE").stdin(Stdio::null());
    command
}

/// Runs it to its end, and checks what holds for every run: no colours in a pipe, and errors in one line.
pub fn run(args: &[&str]) -> Output {
    checked(command(args).output().unwrap())
}

/// The same, with text on its standard input.
pub fn run_with_input(args: &[&str], input: &str) -> Output {
    let piped = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
    let [stdin, stdout, stderr] = piped;
    let mut child = command(args).stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    checked(child.wait_with_output().unwrap())
}

pub fn checked(output: Output) -> Output {
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(&0x1b), "{}", String::from_utf8_lossy(text));
    }
    output
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs it with `--json`; it must succeed.
pub fn json(args: &[&str]) -> Json {
    let output = run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {} {}", out(&output), err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs it and expects this exit code, nothing on the standard output, and one line, which is returned.
pub fn refused(args: &[&str], code: i32) -> String {
    let output = run(args);
    let line = err(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {} {line}", out(&output));
    assert_eq!((out(&output).as_str(), line.lines().count()), ("", 1), "{args:?}: {line}");
    line
}

pub async fn connect(spec: &str) -> Arc<dyn Provider> {
    let (engine, config) = spec.split_once('=').unwrap();
    session_kit::connect(engine, ConnectOptions::new(config)).await.unwrap()
}

/// An application.
pub async fn application(spec: &str) -> Manager {
    let hour = Duration::from_hours(1);
    Manager::builder_shared(connect(spec).await).idle_timeout(hour).gc_interval(None).build().unwrap()
}

/// A visitor's session.
pub async fn visitor(application: &Manager) -> Token {
    let session = application.create();
    session.set("cart", &["tea", "s3cret-cake"]).unwrap();
    session.set("visits", &3).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

/// A session of a user.
pub async fn user(application: &Manager, name: &str) -> Token {
    let session = application.create();
    session.sign_in(name).unwrap();
    session.set_device(Device::new().label("Fire\u{1b}[31mfox").ip("192.0.2.7")).unwrap();
    session.release().await.unwrap();
    session.token().unwrap()
}

/// How long a running copy may take for something, on a machine that is very busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A process that is ended with the test.
pub struct Running(pub Child);

impl Running {
    pub fn interrupt(&self) {
        let kill = Command::new("kill").arg("-INT").arg(self.0.id().to_string()).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}
