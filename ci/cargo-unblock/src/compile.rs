//! How do the facts of a workspace come about?
//!
//! `cargo check` runs with this program as the workspace's wrapper (wrapper.rs). Cargo keeps the artifacts
//! that a wrapper made apart from its own, and knows which crates have changed. Only these are compiled and
//! printed again. Cargo names the artifacts, and the facts are in files beside them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::facts::Unit;
use crate::failure::Failure;
use crate::options::CargoOptions;
use crate::packages::{Workspace, asked, cargo, name_in};
use crate::wrapper;

/// What was compiled.
#[derive(Default)]
pub struct Compiled {
    pub units: Vec<Unit>,
    /// The crates that were compiled from a folder of this machine but do not belong to the workspace.
    pub outside: Vec<Outside>,
}

/// A path dependency outside of the workspace. Cargo does not run the wrapper for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Outside {
    pub package: String,
    /// As rustc writes it.
    pub crate_name: String,
    pub folder: PathBuf,
}

/// What `cargo check` says of one compiled crate.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// An artifact of a member of the workspace.
struct Artifact {
    metadata: PathBuf,
    /// The package's folder.
    folder: PathBuf,
    for_others: bool,
}

/// Compiles what has changed, and reads the facts of all crates.
pub fn units(workspace: &Workspace, options: &CargoOptions) -> Result<Compiled, Failure> {
    let asked = asked(workspace, options)?;
    let mut missing = Vec::new();
    let mut compiled = Compiled::default();
    // Facts may have been removed, or written by another version, which cargo does not know. The artifacts
    // are then removed, and cargo is asked a second time.
    for _ in 0..2 {
        let (artifacts, outside) = check(workspace, options, &asked)?;
        compiled.outside = outside;
        (compiled.units, missing) = read(&artifacts, &workspace.workspace_root);
        if missing.is_empty() {
            break;
        }
        for metadata in &missing {
            let _ = std::fs::remove_file(metadata);
        }
    }
    match missing.first() {
        None => Ok(compiled),
        Some(path) => Err(Failure::new(format!(
            "there are no facts for {}; is another workspace wrapper at work (RUSTC_WORKSPACE_WRAPPER)?",
            path.display()
        ))),
    }
}

/// Runs `cargo check`. Returns the metadata files of the workspace's crates, and the path dependencies
/// outside of the workspace.
fn check(
    workspace: &Workspace,
    options: &CargoOptions,
    asked: &HashSet<&str>,
) -> Result<(Vec<Artifact>, Vec<Outside>), Failure> {
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
    let (mut artifacts, mut outside) = (Vec::new(), Vec::new());
    for line in output.split(b'\n') {
        let line = line.map_err(|error| Failure::new(format!("cannot read what cargo says: {error}")))?;
        let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
        let Some(target) = message.target.filter(|_| message.reason == "compiler-artifact") else { continue };
        let is_metadata = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rmeta");
        // An artifact with an `.rlib` beside its metadata was compiled for a build script or a procedural
        // macro.
        if target.kind.iter().any(|kind| kind == "custom-build" || kind == "proc-macro")
            || !message.filenames.iter().all(is_metadata)
        {
            continue;
        }
        let folder = message.manifest_path.parent().unwrap_or(Path::new("")).to_owned();
        if workspace.members.contains(&message.package_id) {
            let for_others = !asked.contains(message.package_id.as_str());
            artifacts.extend(message.filenames.into_iter().map(|metadata| Artifact {
                metadata,
                folder: folder.clone(),
                for_others,
            }));
        } else if message.package_id.starts_with("path+") {
            let package = name_in(&message.package_id).to_owned();
            outside.push(Outside { package, crate_name: target.name.replace('-', "_"), folder });
        }
    }
    let status = child.wait().map_err(|error| Failure::new(format!("cannot wait for cargo: {error}")))?;
    if !status.success() {
        return Err(Failure::new("the project does not compile; what cargo said stands above"));
    }
    artifacts.sort_by(|a, b| a.metadata.cmp(&b.metadata));
    artifacts.dedup_by(|a, b| a.metadata == b.metadata);
    outside.sort();
    outside.dedup();
    Ok((artifacts, outside))
}

/// The facts beside these metadata files, and the metadata files that have no facts.
///
/// Two projects whose packages have the same name may share a target folder. Cargo then takes the artifacts
/// of one project for those of the other. The facts say where the compiler ran: at the workspace's root, or
/// in the package's folder if that is not below the root.
fn read(artifacts: &[Artifact], root: &Path) -> (Vec<Unit>, Vec<PathBuf>) {
    let (mut units, mut missing) = (Vec::new(), Vec::new());
    for &Artifact { ref metadata, ref folder, for_others } in artifacts {
        let is_its = |unit: &Unit| {
            let ran_in = Path::new(&unit.directory);
            ran_in == root || folder.canonicalize().is_ok_and(|folder| ran_in == folder)
        };
        match wrapper::facts_path(metadata).map(|path| Unit::load(&path)) {
            Some(Ok(unit)) if is_its(&unit) => units.push(Unit { for_others, ..unit }),
            _ => missing.push(metadata.clone()),
        }
    }
    (units, missing)
}

/// The folder in which this tool keeps files between runs.
pub fn cache(workspace: &Workspace, options: &CargoOptions) -> PathBuf {
    let target: &Path = options.target_dir.as_deref().unwrap_or(&workspace.target_directory);
    target.join("unblock")
}
