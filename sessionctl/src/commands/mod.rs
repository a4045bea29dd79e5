//! One module for each command.

mod bench;
mod copy;
mod count;
mod end;
mod gc;
mod list;
mod migrate;
mod ping;
mod show;
mod stats;

use std::time::Duration;

use clap::CommandFactory as _;
use session_kit::Secret;

use crate::args::{Args, Command};
use crate::engine::Engine;
use crate::failure::{Code, Failure, Result};
use crate::report::{Paint, Report};

/// Runs the command.
pub async fn run(args: Args) -> Result<Report> {
    let timeout = Duration::from_secs(args.timeout);
    let paint = Paint::of_stdout();
    let connect = async || Engine::existing(named(args.engine.as_ref())?, timeout).await;
    match args.command {
        Command::Stats => stats::run(&connect().await?, paint).await,
        Command::List { owner, limit } => list::run(&connect().await?, owner.as_deref(), limit, paint).await,
        Command::Show { which, values } => show::run(&connect().await?, &which, values, paint).await,
        Command::End(end) => end::run(&connect().await?, &end).await,
        Command::Gc { dry_run } => gc::run(&connect().await?, dry_run).await,
        Command::Count => count::run(&connect().await?).await,
        Command::Migrate { check } => migrate::run(named(args.engine.as_ref())?, check).await,
        Command::Copy(copy) => copy::run(&copy, timeout, args.json).await,
        Command::Ping { count } => ping::run(&connect().await?, count).await,
        Command::Bench { seconds, clients, bytes } => {
            let load = bench::Load { time: Duration::from_secs(seconds), clients, bytes };
            bench::run(&connect().await?, load, paint).await
        }
        Command::Completions { shell } => Ok(completions(shell)),
        Command::Man => man(),
    }
}

fn named(engine: Option<&Secret>) -> Result<&Secret> {
    let missing = "which engine? Give --engine NAME=CONFIG, or set SESSIONCTL_ENGINE";
    engine.ok_or_else(|| Failure::new(Code::Usage, missing))
}

fn completions(shell: clap_complete::Shell) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sessionctl", &mut script);
    text(&script)
}

/// One page for all commands.
fn man() -> Result<Report> {
    let mut page = Vec::new();
    let mut command = Args::command();
    command.build();
    let written = write_man(&command, &mut page);
    let failed = |error| Failure::new(Code::Failed, format!("cannot write the manual page: {error}"));
    written.map(|()| text(&page)).map_err(failed)
}

fn write_man(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let whole = clap_mangen::Man::new(command.clone());
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    whole.render_synopsis_section(page)?;
    whole.render_description_section(page)?;
    whole.render_options_section(page)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let part = clap_mangen::Man::new(command.clone());
        page.extend_from_slice(format!(".SH {}\n", command.get_name().to_uppercase()).as_bytes());
        part.render_description_section(page)?;
        part.render_synopsis_section(page)?;
        part.render_options_section(page)?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Report {
    let text = String::from_utf8_lossy(bytes).into_owned();
    Report::new(text.clone().into(), text)
}
