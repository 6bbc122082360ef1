//! How do the facts of a workspace come about?
//!
//! `cargo check` runs with this program as the workspace's wrapper (wrapper.rs). Cargo keeps artifacts
//! that a wrapper made apart from its own, and knows which crates have changed: only these are compiled
//! and printed anew. The artifacts that cargo names lead to the facts beside them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::facts::Unit;
use crate::options::CargoOptions;
use crate::{Failure, wrapper};

/// What `cargo metadata` says.
#[derive(Deserialize)]
pub struct Workspace {
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
    workspace_members: HashSet<String>,
}

/// What `cargo check` says of one compiled crate.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where the workspace is.
pub fn workspace(options: &CargoOptions) -> Result<Workspace, Failure> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1"])
        .args(options.common())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cannot run cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new("cargo cannot read the workspace; what it said stands above"));
    }
    let mut workspace: Workspace = serde_json::from_slice(&output.stdout).map_err(|error| {
        Failure::new(format!("`cargo metadata` answered something else than expected: {error}"))
    })?;
    // Compilers run there, and name the folder without symbolic links.
    if let Ok(whole) = workspace.workspace_root.canonicalize() {
        workspace.workspace_root = whole;
    }
    Ok(workspace)
}

/// Compiles what has changed, and reads the facts of all crates.
pub fn units(workspace: &Workspace, options: &CargoOptions) -> Result<Vec<Unit>, Failure> {
    let mut missing = Vec::new();
    let mut units = Vec::new();
    // A second time only when facts were removed, or written by another version: cargo does not know them.
    for _ in 0..2 {
        (units, missing) = read(&check(workspace, options)?, &workspace.workspace_root);
        if missing.is_empty() {
            break;
        }
        for metadata in &missing {
            let _ = std::fs::remove_file(metadata);
        }
    }
    match missing.first() {
        None => Ok(units),
        Some(path) => Err(Failure::new(format!(
            "there are no facts for {}; is another workspace wrapper at work (RUSTC_WORKSPACE_WRAPPER)?",
            path.display()
        ))),
    }
}

/// Runs `cargo check`: the metadata files of the workspace's crates.
fn check(workspace: &Workspace, options: &CargoOptions) -> Result<Vec<PathBuf>, Failure> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find my own program: {error}")))?;
    let mut child = cargo()
        .args(["check", "--message-format=json-render-diagnostics"])
        .args(options.check())
        .env("RUSTC_WORKSPACE_WRAPPER", own)
        .env(wrapper::VARIABLE, "1")
        // A compiler cache does not know this wrapper.
        .env("RUSTC_WRAPPER", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("cannot run cargo: {error}")))?;
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut artifacts = Vec::new();
    for line in output.split(b'\n') {
        let line = line.map_err(|error| Failure::new(format!("cannot read what cargo says: {error}")))?;
        let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
        let wanted = message.reason == "compiler-artifact"
            && workspace.workspace_members.contains(&message.package_id)
            && message.target.is_some_and(|target| {
                !target.kind.iter().any(|kind| kind == "custom-build" || kind == "proc-macro")
            });
        let is_metadata = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rmeta");
        // With an `.rlib` beside it, it was compiled for a build script or a procedural macro.
        if wanted && message.filenames.iter().all(is_metadata) {
            artifacts.extend(message.filenames);
        }
    }
    let status = child.wait().map_err(|error| Failure::new(format!("cannot wait for cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::new("the project does not compile; what cargo said stands above"));
    }
    artifacts.sort();
    artifacts.dedup();
    Ok(artifacts)
}

/// The facts beside these files, and the files that have none. Two projects whose packages are named alike
/// may share a target folder; cargo then takes the one's artifacts for the other's, but the facts say whose
/// they are.
fn read(metadata: &[PathBuf], root: &Path) -> (Vec<Unit>, Vec<PathBuf>) {
    let (mut units, mut missing) = (Vec::new(), Vec::new());
    for file in metadata {
        match wrapper::facts_path(file).map(|path| Unit::load(&path)) {
            Some(Ok(unit)) if Path::new(&unit.directory) == root => units.push(unit),
            _ => missing.push(file.clone()),
        }
    }
    (units, missing)
}

/// Where this tool keeps what is worth keeping between runs.
pub fn cache(workspace: &Workspace, options: &CargoOptions) -> PathBuf {
    let target: &Path = options.target_dir.as_deref().unwrap_or(&workspace.target_directory);
    target.join("unblock")
}
