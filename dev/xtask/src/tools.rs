//! Calling cargo, and the question whether a program works here.

use serde_json::Value;
use std::env;
use std::io;
use std::process::{Command, Stdio};

/// A cargo command line.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// What a command prints; its failure is an error with what it said.
pub fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// Whether a command can be run and succeeds.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    output(Command::new(program).args(arguments)).is_ok()
}

/// `cargo metadata` of this workspace.
pub fn metadata(arguments: &[&str]) -> io::Result<Value> {
    let text = output(cargo(&["metadata", "--format-version", "1"]).args(arguments))?;
    serde_json::from_str(&text).map_err(io::Error::other)
}

/// The elements of a JSON list; none when it is not a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A JSON string; empty when it is not a string.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
