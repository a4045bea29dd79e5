//! A web app that shows what a session is: a page to click on, and the same as JSON routes.
//!
//! `cargo run -p session-demo` serves it on <http://127.0.0.1:3000>; `--help` lists what can be set.

mod answer;
mod api;
mod args;
mod asked;
mod devices;
mod frameworks;
mod meter;
mod page;
mod routes;
mod setup;

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use args::Args;
use frameworks::Framework;

/// How long requests under way may take after the signal to stop: longer than the longest `hold_ms`.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session-demo: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is printed: whoever reads the line below may send the signal at once.
    let stop = stop_signal()?;
    let listener = TcpListener::bind(&args.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let manager = setup::manager(args, address.ip().is_loopback()).await?;
    let gc = manager.spawn_gc();
    eprintln!("engine `{}`; {}", manager.provider().engine(), setup::about_secure(&manager));
    // Whoever closed the standard output does not want to read it.
    let _ = writeln!(std::io::stdout(), "listening on http://{address}");
    match args.framework {
        Framework::Axum => frameworks::axum::serve(listener, manager, stop).await?,
        Framework::Actix => frameworks::actix::serve(listener, manager, stop).await?,
    }
    gc.stop();
    Ok(())
}

/// Comes when the process is told to stop.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// An error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
