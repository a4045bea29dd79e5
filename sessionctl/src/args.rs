//! The command line.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};
use session_kit::Secret;

/// Manages the sessions of a service, on any engine.
///
/// An ENGINE is `NAME=CONFIG` (`redis=127.0.0.1:6379`), a NAME that needs no configuration, a URL
/// (`postgres://web@db/web`), or `@FILE` with one of these on its first line. Other users of the
/// machine can see the arguments of a process: keep a password in a file or in the environment.
///
/// A session is named by its handle, by the first digits of its short hash (both as `list` prints
/// them), or by its token: the ID `-` reads the token from standard input, so that it does not
/// appear in the process list.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no such session, 4 not supported
/// by the engine, 5 the engine is unavailable, 6 the copy is not complete.
#[derive(Parser)]
#[command(name = "sessionctl", version)]
pub struct Args {
    /// The engine of the sessions
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

    /// Timeout of each call of the engine, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,

    /// The command
    #[command(subcommand)]
    pub command: Command,
}

/// The command.
#[derive(Subcommand)]
pub enum Command {
    /// Show statistics: the number of sessions with and without an owner, their age and size
    Stats,
    /// List sessions
    List {
        /// Only the sessions of this user of the application
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// The maximum number of sessions
        #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Show a session: its header and its keys
    Show {
        #[command(flatten)]
        which: Which,
        /// Also show the values, which may be secrets
        #[arg(long)]
        values: bool,
    },
    /// End a session, all sessions of a user, or all sessions
    End(End),
    /// Remove expired sessions
    Gc {
        /// Only report how many there are
        #[arg(long)]
        dry_run: bool,
    },
    /// Count the sessions
    Count,
    /// Create or update the table
    Migrate {
        /// Only compare it with the expected table
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
        /// The duration
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// The number of concurrent clients
        #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        clients: u16,
        /// The size of the value in each session
        #[arg(long, value_name = "BYTES", default_value_t = 300)]
        bytes: usize,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// The session.
#[derive(Arguments)]
pub struct Which {
    /// A handle, the first 4 to 8 digits of a short hash, or `-` to read the token from standard
    /// input
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// Search only among the sessions of this user
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// The application stores ids unhashed (`plain_ids`)
    #[arg(long)]
    pub plain: bool,
}

/// The sessions to end.
#[derive(Arguments)]
pub struct End {
    /// A handle, the first 4 to 8 digits of a short hash, or `-` to read the token from standard
    /// input
    #[arg(value_name = "ID", allow_hyphen_values = true, required_unless_present_any = ["owner", "all"])]
    pub id: Option<String>,
    /// Every session of this user; with an ID, only that one
    #[arg(long, value_name = "USER", conflicts_with = "all")]
    pub owner: Option<String>,
    /// Every stored session
    #[arg(long, requires = "yes", conflicts_with = "id")]
    pub all: bool,
    /// Confirm --all
    #[arg(long)]
    pub yes: bool,
    /// The application stores ids unhashed (`plain_ids`)
    #[arg(long)]
    pub plain: bool,
}

/// A copy.
#[derive(Arguments)]
pub struct Copy {
    /// The engine of the sessions
    #[arg(long, value_name = "ENGINE", env = "SESSIONCTL_FROM", hide_env_values = true)]
    pub from: Secret,
    /// The target engine
    #[arg(long, value_name = "ENGINE", env = "SESSIONCTL_TO", hide_env_values = true)]
    pub to: Secret,
    /// Continue until Ctrl-C, which starts the last pass and verifies
    #[arg(long)]
    pub follow: bool,
    /// The interval between two passes of --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub every: u64,
    /// A file that records the copied sessions, to continue after an interruption; use one file per
    /// copy
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Let the source win if both have changed, and restore sessions missing at the target
    #[arg(long)]
    pub overwrite: bool,
    /// The number of sessions copied concurrently
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
