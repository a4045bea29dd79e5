//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::frameworks::Framework;

/// A web app that shows what a session is.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub listen: String,

    /// The web framework to serve with
    #[arg(long, value_enum, value_name = "NAME", default_value = "axum")]
    pub framework: Framework,

    /// The engine that keeps the sessions, by name [default: memory, or what --app-conf says]
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,

    /// What the engine is connected with, in its own form: a directory, a URL, an address
    #[arg(long, value_name = "STRING")]
    pub engine_config: Option<String>,

    /// The manager's configuration: {"cookieName":"gosessionid","gclifetime":3600,…}
    #[arg(long, value_name = "JSON", conflicts_with = "app_conf")]
    pub manager_config: Option<String>,

    /// A configuration file with the session keys of an app.conf
    #[arg(long, value_name = "FILE")]
    pub app_conf: Option<PathBuf>,

    /// After how many seconds without a request a session ends [default: 3600, or as configured]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub lifetime: Option<u64>,

    /// After how many seconds a session ends whatever its user does [default: 43200, or the lifetime if longer]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub absolute_lifetime: Option<u64>,

    /// How many sessions a user may have; one more ends the one that signed in first [default: any number]
    #[arg(long, value_name = "NUMBER")]
    pub max_sessions: Option<usize>,
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
