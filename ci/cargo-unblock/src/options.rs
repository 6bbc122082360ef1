//! What did the user ask for?

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::graph::Dispatch;

/// For `cargo unblock …`, cargo runs `cargo-unblock unblock …`.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", disable_help_subcommand = true)]
pub enum Cargo {
    Unblock(Options),
}

/// Rejects blocking calls that async code can reach.
///
/// Exit codes: 0 nothing found, 1 findings, 2 the check could not be done.
#[derive(Args)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Say why an API is on the list, and what to use instead
    #[arg(long, value_name = "PATH")]
    pub explain: Option<String>,

    /// How findings are written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub message_format: Format,

    /// Let the findings in this file pass; remove those from it that are gone
    #[arg(long, value_name = "FILE", conflicts_with = "write_baseline")]
    pub baseline: Option<PathBuf>,

    /// Write all findings into this file, and exit with 0
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,

    /// Report more: `minor` blocks shortly or at start-up, `print` writes to the terminal
    #[arg(long, value_name = "TIERS", value_delimiter = ',')]
    pub also: Vec<Also>,

    /// How far calls through `dyn Trait`, `dyn Fn` and `fn` are followed
    #[arg(long, value_name = "HOW")]
    pub dispatch: Option<Dispatch>,

    /// When to colour the human format
    #[arg(long, value_name = "WHEN", default_value = "auto", ignore_case = true)]
    pub color: Color,

    #[command(flatten)]
    pub cargo: CargoOptions,
}

#[derive(Subcommand)]
pub enum Command {
    /// Print the list in force: path, tier, category, what to use instead
    List(ListOptions),
}

#[derive(Args)]
pub struct ListOptions {
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As rustc writes, grouped by root cause
    Human,
    /// `path:line:col: message`, a finding a line
    Short,
    /// An object a line
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// A SARIF 2.1.0 log, for code scanning
    Sarif,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Also {
    Minor,
    Print,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Handed on to `cargo check`.
#[derive(Args, Default)]
#[command(next_help_heading = "Options of cargo check")]
pub struct CargoOptions {
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
    /// Members of the workspace to report on; without it, all of them
    #[arg(short, long = "package", value_name = "SPEC")]
    pub packages: Vec<String>,
    /// Check the whole workspace, which is what happens without -p
    #[arg(long, conflicts_with = "packages")]
    pub workspace: bool,
    /// Members of the workspace not to report on
    #[arg(long, value_name = "SPEC")]
    pub exclude: Vec<String>,
    /// Check the libraries only
    #[arg(long)]
    pub lib: bool,
    /// Check all binaries
    #[arg(long)]
    pub bins: bool,
    /// Check this binary
    #[arg(long, value_name = "NAME")]
    pub bin: Vec<String>,
    /// Check all examples
    #[arg(long)]
    pub examples: bool,
    /// Check this example
    #[arg(long, value_name = "NAME")]
    pub example: Vec<String>,
    /// Features to turn on, with spaces or commas between
    #[arg(short = 'F', long, value_name = "FEATURES")]
    pub features: Vec<String>,
    /// Turn on all features
    #[arg(long)]
    pub all_features: bool,
    /// Turn off the default feature
    #[arg(long)]
    pub no_default_features: bool,
    /// Check for this target
    #[arg(long, value_name = "TRIPLE")]
    pub target: Vec<String>,
    /// Check with this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Check with the release profile
    #[arg(short, long, conflicts_with = "profile")]
    pub release: bool,
    /// Where artifacts go
    #[arg(long, value_name = "DIR")]
    pub target_dir: Option<PathBuf>,
    /// How many compilers run at once
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<String>,
    /// Overrides a configuration value of cargo
    #[arg(long, value_name = "KEY=VALUE|PATH")]
    pub config: Vec<String>,
    /// Cargo.lock must be up to date
    #[arg(long)]
    pub locked: bool,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
    /// --locked and --offline
    #[arg(long)]
    pub frozen: bool,
    /// Print nothing about progress
    #[arg(short, long)]
    pub quiet: bool,
}

impl CargoOptions {
    /// For every command of cargo that looks at the workspace.
    pub fn common(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = Vec::new();
        let mut value = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            arguments.push(name.into());
            arguments.push(value.as_ref().to_owned());
        };
        if let Some(path) = &self.manifest_path {
            value("--manifest-path", path);
        }
        for config in &self.config {
            value("--config", config);
        }
        for (name, given) in
            [("--locked", self.locked), ("--offline", self.offline), ("--frozen", self.frozen)]
        {
            if given {
                arguments.push(name.into());
            }
        }
        arguments
    }

    /// For `cargo check`.
    pub fn check(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = self.common();
        let lists = [
            ("--package", &self.packages),
            ("--exclude", &self.exclude),
            ("--bin", &self.bin),
            ("--example", &self.example),
            ("--features", &self.features),
            ("--target", &self.target),
        ];
        for (name, values) in lists {
            for value in values {
                arguments.extend([name.into(), value.into()]);
            }
        }
        for (name, value) in [("--profile", &self.profile), ("--jobs", &self.jobs)] {
            if let Some(value) = value {
                arguments.extend([name.into(), value.into()]);
            }
        }
        if let Some(directory) = &self.target_dir {
            arguments.extend(["--target-dir".into(), directory.into()]);
        }
        let flags = [
            ("--workspace", self.packages.is_empty()),
            ("--lib", self.lib),
            ("--bins", self.bins),
            ("--examples", self.examples),
            ("--all-features", self.all_features),
            ("--no-default-features", self.no_default_features),
            ("--release", self.release),
            ("--quiet", self.quiet),
        ];
        arguments.extend(flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.into()));
        arguments
    }
}
