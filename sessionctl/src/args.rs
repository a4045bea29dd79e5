//! The command line.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};
use session_kit::Secret;

/// Looks after the sessions of a service, on every engine.
///
/// An ENGINE is `NAME=CONFIG` (`redis=127.0.0.1:6379`), a NAME that needs no configuration, a URL
/// (`postgres://web@db/web`), or `@FILE` with one of these on its first line. Other users of the machine can see
/// the arguments of a process: keep a password in a file, or in the environment.
///
/// A session is named by its handle, by the first digits of its short hash (both as `list` prints them), or
/// by its token: the ID `-` reads the token from the standard input, so that it is in no list of processes.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such session, 4 the engine cannot do it,
/// 5 the engine is unavailable, 6 the copy is not complete.
#[derive(Parser)]
#[command(name = "sessionctl", version)]
pub struct Args {
    /// The engine that has the sessions
    #[arg(
        long,
        short,
        global = true,
        value_name = "ENGINE",
        env = "SESSIONCTL_ENGINE",
        hide_env_values = true
    )]
    pub engine: Option<Secret>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// How many seconds one call of the engine may take
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Show how many sessions there are, with an owner and without, how old and how large
    Stats,
    /// List sessions
    List {
        /// Only those of this user of the application
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Show a session: its header and its keys
    Show {
        #[command(flatten)]
        which: Which,
        /// Show the values too, which may be secrets
        #[arg(long)]
        values: bool,
    },
    /// End a session, those of a user, or all
    End(End),
    /// Remove expired sessions
    Gc {
        /// Only say how many there are
        #[arg(long)]
        dry_run: bool,
    },
    /// Count the sessions
    Count,
    /// Create the table, or bring it up to date
    Migrate {
        /// Only compare it with what is expected
        #[arg(long)]
        check: bool,
    },
    /// Copy all sessions to another engine, while the application runs
    Copy(Copy),
    /// Measure round trips
    Ping {
        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Measure creates, reads, writes and destroys
    Bench {
        /// For how long
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// How many at the same time
        #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        clients: u16,
        /// How large the value in a session is
        #[arg(long, value_name = "BYTES", default_value_t = 300)]
        bytes: usize,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Which session.
#[derive(Arguments)]
pub struct Which {
    /// A handle, the first 4 to 8 digits of a short hash, or `-` to read the token from the standard input
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// Search only among the sessions of this user
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// The application stores ids as they are (`plain_ids`)
    #[arg(long)]
    pub plain: bool,
}

/// Which sessions end.
#[derive(Arguments)]
pub struct End {
    /// A handle, the first 4 to 8 digits of a short hash, or `-` to read the token from the standard input
    #[arg(value_name = "ID", allow_hyphen_values = true, required_unless_present_any = ["owner", "all"])]
    pub id: Option<String>,
    /// Every session of this user; together with an ID, that one among them
    #[arg(long, value_name = "USER", conflicts_with = "all")]
    pub owner: Option<String>,
    /// Every session that is stored
    #[arg(long, requires = "yes", conflicts_with = "id")]
    pub all: bool,
    /// Yes, all of them
    #[arg(long)]
    pub yes: bool,
    /// The application stores ids as they are (`plain_ids`)
    #[arg(long)]
    pub plain: bool,
}

/// A copy.
#[derive(Arguments)]
pub struct Copy {
    /// The engine that has the sessions
    #[arg(long, value_name = "ENGINE", env = "SESSIONCTL_FROM", hide_env_values = true)]
    pub from: Secret,
    /// The engine that gets them
    #[arg(long, value_name = "ENGINE", env = "SESSIONCTL_TO", hide_env_values = true)]
    pub to: Secret,
    /// Go on until Ctrl-C, which does a last pass and verifies
    #[arg(long)]
    pub follow: bool,
    /// How many seconds there are between two passes of --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub every: u64,
    /// Remember here what was copied, to go on after an interruption; a file of its own for each copy
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Let the source win where both have changed, and store again what is missing at the target
    #[arg(long)]
    pub overwrite: bool,
    /// How many sessions are copied at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
