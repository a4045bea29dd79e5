//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::frameworks::Framework;

/// A web app that shows the contents and the cost of a session
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    /// The address to listen on; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub listen: String,

    /// The web framework to serve with
    #[arg(long, value_enum, value_name = "NAME", default_value = "axum")]
    pub framework: Framework,

    /// The name of the engine [default: memory, or the one in --app-conf]
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,

    /// The engine's config string: a directory, a URL, an address
    #[arg(long, value_name = "STRING")]
    pub engine_config: Option<String>,

    /// The manager's configuration: {"cookieName":"gosessionid","gclifetime":3600,…}
    #[arg(long, value_name = "JSON", conflicts_with = "app_conf")]
    pub manager_config: Option<String>,

    /// A configuration file with the session keys of an app.conf
    #[arg(long, value_name = "FILE")]
    pub app_conf: Option<PathBuf>,

    /// Seconds without a request after which a session ends [default: 3600, or as configured]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub lifetime: Option<u64>,

    /// Seconds after which a session ends in any case [default: 43200, or the lifetime if longer]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub absolute_lifetime: Option<u64>,

    /// The maximum number of sessions of a user; one more ends the oldest [default: unlimited]
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
