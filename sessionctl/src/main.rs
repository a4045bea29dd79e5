//! Sessions on the command line, for operators: `sessionctl --help`, and `docs/sessionctl.md`.

mod args;
mod commands;
mod engine;
mod failure;
mod find;
mod report;
mod shown;

use std::process::ExitCode;

use clap::Parser as _;
use serde_json::json;

use args::Args;
use failure::Failure;
use report::Paint;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let as_json = args.json;
    match commands::run(args).await {
        Ok(report) => {
            report.print(as_json);
            ExitCode::from(report.code)
        }
        Err(failure) => {
            complain(&failure, as_json);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// Prints the failure in one line on standard error.
fn complain(failure: &Failure, as_json: bool) {
    if as_json {
        eprintln!("{}", json!({ "error": failure.to_string(), "code": failure.code as u8 }));
    } else {
        eprintln!("{} {failure}", Paint::of_stderr().red("sessionctl:"));
    }
}
