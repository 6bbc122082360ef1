//! What happens when cargo compiles a crate of the workspace?
//!
//! Cargo runs this program in place of rustc (`RUSTC_WORKSPACE_WRAPPER`). The program lets rustc do what
//! cargo asked for. At the same time it lets the same rustc print the MIR of the crate, and keeps the facts
//! from that text. The options that print MIR are not stable: `RUSTC_BOOTSTRAP=1` makes a stable compiler
//! accept them, for this one run, which writes no artifact. Cargo does not run the wrapper for dependencies.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::facts::Unit;
use crate::{arguments, mir};

/// When this variable is set, cargo runs this program as a wrapper.
pub const VARIABLE: &str = "CARGO_UNBLOCK_WRAPPER";

/// The options that make rustc print what mir/ reads.
pub const PRINT: [&str; 3] = ["-Zunpretty=mir", "-Zmir-include-spans=yes", "-Ztrim-diagnostic-paths=no"];

/// The file with the facts of the crate whose metadata cargo names.
pub fn facts_path(metadata: &Path) -> Option<PathBuf> {
    let stem = metadata.file_stem()?.to_str()?;
    (metadata.extension()? == "rmeta")
        .then(|| metadata.with_file_name(format!("{}.unblock", stem.strip_prefix("lib").unwrap_or(stem))))
}

/// `arguments` are the path of rustc, and what cargo tells rustc.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let Some((rustc, arguments)) = arguments.split_first() else {
        eprintln!("cargo-unblock: {VARIABLE} is set, but no compiler was named");
        return ExitCode::from(2);
    };
    let expanded = arguments::of_files(arguments);
    let arguments = expanded.as_slice();
    let compilation = Compilation::of(arguments);
    let mut cargo_asked = Command::new(rustc);
    // The lints of the project are reported by `cargo check`, and not here.
    match &compilation {
        Some(_) => cargo_asked.args(arguments::without(arguments, &["--cap-lints"])).arg("--cap-lints=allow"),
        None => cargo_asked.args(arguments),
    };
    let printed = compilation.map(|compilation| {
        let (rustc, arguments) = (rustc.clone(), arguments.to_owned());
        std::thread::spawn(move || compilation.print(&rustc, &arguments).map(|unit| (compilation, unit)))
    });
    let status = match cargo_asked.status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cargo-unblock: cannot run {}: {error}", rustc.display());
            return ExitCode::from(2);
        }
    };
    if !status.success() {
        return ExitCode::from(status.code().map_or(1, |code| code as u8));
    }
    let Some(printed) = printed else { return ExitCode::SUCCESS };
    let saved = printed.join().unwrap_or_else(|_| Err(io::Error::other("panicked"))).and_then(
        |(compilation, mut unit)| {
            unit.files = read_files(&compilation.dependencies);
            unit.save(&compilation.facts)
        },
    );
    match saved {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo-unblock: {error}");
            ExitCode::from(2)
        }
    }
}

/// A crate that is analysed.
struct Compilation {
    crate_name: String,
    is_library: bool,
    facts: PathBuf,
    /// The file in which rustc lists the source files that it read.
    dependencies: PathBuf,
}

impl Compilation {
    /// Returns nothing when cargo only asks the compiler a question, and nothing for crates that are linked:
    /// build scripts, procedural macros and the crates that these need run while the project is built.
    fn of(arguments: &[OsString]) -> Option<Compilation> {
        let crate_name = arguments::option(arguments, "--crate-name")?.to_str()?.to_owned();
        let out = PathBuf::from(arguments::option(arguments, "--out-dir")?);
        let kind = arguments::option(arguments, "--crate-type")?.to_str()?.to_owned();
        let emitted = arguments::option(arguments, "--emit")?.to_str()?.to_owned();
        let only_checked = emitted.contains("metadata") && !emitted.contains("link");
        if !only_checked {
            return None;
        }
        let extra = arguments::codegen_option(arguments, "extra-filename").unwrap_or_default();
        let facts = facts_path(&out.join(format!("lib{crate_name}{extra}.rmeta")))?;
        let dependencies = out.join(format!("{crate_name}{extra}.d"));
        Some(Compilation { crate_name, is_library: kind.contains("lib"), facts, dependencies })
    }

    fn print(&self, rustc: &OsStr, arguments: &[OsString]) -> io::Result<Unit> {
        let directory = std::env::current_dir()?;
        let mut unit = Unit {
            rustc: version(rustc)?,
            rustc_path: rustc.to_string_lossy().into_owned(),
            crate_name: self.crate_name.clone(),
            is_library: self.is_library,
            directory: directory.to_string_lossy().into_owned(),
            ..Unit::default()
        };
        let mut command = Command::new(rustc);
        command
            .args(arguments::without(
                arguments,
                &["--emit", "--out-dir", "--error-format", "--json", "--cap-lints"],
            ))
            .args(PRINT)
            .arg("--cap-lints=allow");
        print(command, &mut unit).map_err(|error| {
            io::Error::new(error.kind(), format!("of crate `{}`, {error}", self.crate_name))
        })?;
        Ok(unit)
    }
}

/// Runs rustc and reads the MIR that it prints.
pub fn print(mut command: Command, unit: &mut Unit) -> io::Result<()> {
    let mut child = command
        .env("RUSTC_BOOTSTRAP", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut errors = child.stderr.take().expect("piped");
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let output = child.stdout.take().expect("piped");
    mir::read(BufReader::with_capacity(1 << 16, output), unit)?;
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
    Err(io::Error::other(format!("rustc did not print the MIR ({status}):\n{errors}")))
}

/// The output of `rustc -vV`, which names the compiler to the commit.
pub fn version(rustc: &OsStr) -> io::Result<String> {
    let output = Command::new(rustc).arg("-vV").output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{} -vV failed", rustc.display())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The source files that a `.d` file names. Each has a line of its own: `file:`.
fn read_files(path: &Path) -> Vec<String> {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_suffix(':'))
        .filter(|file| file.ends_with(".rs"))
        .map(|file| file.replace("\\ ", " "))
        .collect()
}
