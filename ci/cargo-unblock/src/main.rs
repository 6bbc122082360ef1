//! `cargo unblock`: rejects blocking calls that async code can reach.
//!
//! This is the way from the compiler to the verdict. compile.rs runs cargo, and wrapper.rs lets rustc print
//! the MIR of each crate. mir/ reads that text and keeps facts (facts.rs). program/ puts the facts of all
//! crates together, graph/ follows the calls, and findings/ looks for ways from async code to what the list
//! (list.rs) says blocks. report.rs and human.rs print what was found. types/ and notation.rs read the
//! compiler's notation, sources/ reads what only the source text says, and probe.rs checks that this compiler
//! is understood.

mod analysis;
mod arguments;
mod baseline;
mod compile;
mod config;
mod explain;
mod facts;
mod failure;
mod findings;
mod graph;
mod human;
mod list;
mod mir;
mod notation;
mod options;
mod packages;
mod place;
mod probe;
mod program;
mod report;
mod sources;
mod types;
mod wrapper;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::baseline::Baseline;
use crate::compile::{Compiled, Outside};
use crate::config::Config;
use crate::failure::Failure;
use crate::findings::Finding;
use crate::list::{List, Tier};
use crate::options::{Also, Cargo, Color, Command, Format, Options};

fn main() -> ExitCode {
    if std::env::var_os(wrapper::VARIABLE).is_some() {
        return wrapper::run(std::env::args_os().skip(1).collect());
    }
    // Cargo passes `unblock` as the first argument. A user who runs `cargo-unblock` directly does not.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_none_or(|first| first != "unblock") {
        arguments.insert(1.min(arguments.len()), "unblock".into());
    }
    let Cargo::Unblock(options) = Cargo::parse_from(arguments);
    let result = match (&options.command, &options.explain) {
        (Some(Command::List(list)), _) => explain::print_list(list),
        (None, Some(path)) => explain::explain(path, &options),
        (None, None) => check(&options),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::from(2)
    })
}

fn check(options: &Options) -> Result<ExitCode, Failure> {
    let workspace = packages::workspace(&options.cargo)?;
    let root = &workspace.workspace_root;
    let config = Config::read(root)?;
    let Compiled { units, outside } = compile::units(&workspace, &options.cargo)?;
    let cache = compile::cache(&workspace, &options.cargo);
    std::fs::create_dir_all(&cache)
        .map_err(|error| Failure::new(format!("cannot write to {}: {error}", cache.display())))?;
    probe::check(&units, &cache)?;

    let also = options.also.iter().chain(&config.also);
    let also = also.map(|also| match also {
        Also::Minor => Tier::Minor,
        Also::Print => Tier::Print,
    });
    let list = List::new(config.entries.clone(), also.collect());
    if !options.cargo.quiet
        && let Some(text) = left_out(&outside, &list, root)
    {
        eprintln!("{text}");
    }
    let dispatch = options.dispatch.or(config.dispatch).unwrap_or_default();
    let outcome = analysis::run(units, &list, dispatch, root, |program| config.check(program))?;
    let mut findings = outcome.findings;

    if let Some(path) = &options.write_baseline {
        let baseline = Baseline::of(&findings);
        baseline.write(path)?;
        eprintln!("{} findings written to {}", baseline.len(), path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &options.baseline {
        let mut baseline = Baseline::read(path)?;
        let before = baseline.len();
        findings = baseline.sift(findings, &outcome.files, root);
        if baseline.len() < before {
            baseline.write(path)?;
            let gone = before - baseline.len();
            eprintln!(
                "{gone} findings of {} are gone, {} are left; commit the file",
                path.display(),
                baseline.len()
            );
        }
    }
    print(&findings, options, root)
}

/// One line that names the path dependencies which are not analysed and which the list does not know.
fn left_out(outside: &[Outside], list: &List, root: &std::path::Path) -> Option<String> {
    let unknown: Vec<String> = outside
        .iter()
        .filter(|dependency| !list.knows(&dependency.crate_name))
        .map(|Outside { package, folder, .. }| {
            let folder = folder.strip_prefix(root).unwrap_or(folder);
            format!("`{package}` ({})", folder.display())
        })
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "note: path dependencies outside of the workspace are not analysed: {}; make each a member of the workspace, or list what blocks in it in unblock.toml",
            unknown.join(", ")
        )
    })
}

fn print(findings: &[Finding], options: &Options, root: &std::path::Path) -> Result<ExitCode, Failure> {
    let offload = "tokio::task::spawn_blocking";
    let lines = |line: fn(&Finding, &str) -> String| {
        findings.iter().map(|f| line(f, offload) + "\n").collect::<String>()
    };
    let text = match options.message_format {
        Format::Human if findings.is_empty() => String::new(),
        Format::Human => {
            let colored = match options.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            };
            human::print(findings, root, offload, colored)
        }
        Format::Short => lines(report::short),
        Format::Json => lines(report::json),
        Format::Github => {
            from_repository(findings, root).iter().map(|f| report::github(f, offload) + "\n").collect()
        }
        Format::Sarif => report::sarif(&from_repository(findings, root), offload) + "\n",
    };
    // A reader that closes the pipe has read enough, and needs no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if findings.is_empty() {
        if options.message_format == Format::Human && !options.cargo.quiet {
            eprintln!("no blocking call is reached by async code");
        }
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

/// The findings with paths from the repository's root, since GitHub reads them so. The workspace may be a
/// folder below it.
fn from_repository(findings: &[Finding], root: &std::path::Path) -> Vec<Finding> {
    let repository = std::env::var_os("GITHUB_WORKSPACE").map(std::path::PathBuf::from);
    let repository = repository.and_then(|path| path.canonicalize().ok());
    let folder =
        repository.and_then(|repository| root.strip_prefix(repository).ok().map(std::path::Path::to_owned));
    let mut findings = findings.to_vec();
    if let Some(folder) = folder {
        for finding in &mut findings {
            finding.place.file = folder.join(&finding.place.file);
            for step in &mut finding.steps {
                step.place.file = folder.join(&step.place.file);
            }
        }
    }
    findings
}
