//! What may stand on the command line?

use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::identity::Identity;

/// Serves until SIGTERM or SIGINT. Exit codes: 0 drained in time, 1 failed, 2 bad arguments or
/// configuration, 3 work was cut off at the shutdown deadline, 128+n second signal.
#[derive(Parser)]
pub struct Args {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Print every effective value and where it came from, check that they fit together, and exit
    Check,
    /// Apply pending database migrations and exit
    #[cfg(feature = "_database")]
    Migrate,
}

impl Args {
    /// Reads the arguments. If an argument is wrong or asks for help or version, this prints a text and ends the
    /// process.
    pub fn of(identity: Identity, file: &Path) -> Self {
        let file = file.display();
        let help = format!("Configuration file [default: {file}, if it is there]");
        let command = Self::command()
            .name(identity.package)
            .version(identity.version)
            .mut_arg("config", |config| config.help(help));
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}
