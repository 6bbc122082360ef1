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
use crate::failure::Failure;
use crate::options::CargoOptions;
use crate::wrapper;

/// What `cargo metadata` says.
#[derive(Deserialize)]
pub struct Workspace {
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
    workspace_members: HashSet<String>,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

/// What was compiled.
#[derive(Default)]
pub struct Compiled {
    pub units: Vec<Unit>,
    /// The crates that were compiled from a folder of this machine, and do not belong to the workspace.
    pub outside: Vec<Outside>,
}

/// A path dependency outside of the workspace: the wrapper does not reach it.
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

/// The members of the workspace that the user asks about: all, without `--package` and `--exclude`.
fn asked<'a>(workspace: &'a Workspace, options: &CargoOptions) -> Result<HashSet<&'a str>, Failure> {
    let names = |spec: &str, package: &Package| spec == package.id || matches(name_in(spec), &package.name);
    for spec in &options.packages {
        if !workspace.packages.iter().any(|package| names(spec, package)) {
            let mut members: Vec<&str> = workspace.packages.iter().map(|package| &*package.name).collect();
            members.sort_unstable();
            return Err(Failure::new(format!(
                "`--package {spec}` names no member of the workspace, and only members are analysed; these are: {}",
                members.join(", ")
            )));
        }
    }
    let named = |specs: &[String], package: &Package| specs.iter().any(|spec| names(spec, package));
    let asked = workspace.packages.iter().filter(|package| match options.packages.is_empty() {
        true => !named(&options.exclude, package),
        false => named(&options.packages, package),
    });
    Ok(asked.map(|package| package.id.as_str()).collect())
}

/// The name in a package's specification: `name`, `name@1.0.0`, `URL#name@1.0.0` or, when the folder is
/// called as the package is, `URL#1.0.0`.
fn name_in(spec: &str) -> &str {
    let (url, rest) = spec.rsplit_once('#').unwrap_or(("", spec));
    if !url.is_empty() && rest.starts_with(|c: char| c.is_ascii_digit()) {
        return url.rsplit('/').next().unwrap_or(url);
    }
    rest.split(['@', ':']).next().unwrap_or(rest)
}

/// Whether a name fits a pattern of cargo's: `*` is any text, `?` any letter, `[ab]` and `[!ab]` one of some.
fn matches(pattern: &str, name: &str) -> bool {
    let mut signs = pattern.chars();
    match signs.next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|end| matches(signs.as_str(), &name[end..]))
        }
        Some(sign) => {
            let mut letters = name.chars();
            let Some(letter) = letters.next() else { return false };
            let (fits, rest) = match (sign, signs.as_str().split_once(']')) {
                ('?', _) => (true, signs.as_str()),
                ('[', Some((set, rest))) => match set.strip_prefix('!') {
                    Some(set) => (!set.contains(letter), rest),
                    None => (set.contains(letter), rest),
                },
                _ => (sign == letter, signs.as_str()),
            };
            fits && matches(rest, letters.as_str())
        }
    }
}

/// Compiles what has changed, and reads the facts of all crates.
pub fn units(workspace: &Workspace, options: &CargoOptions) -> Result<Compiled, Failure> {
    let asked = asked(workspace, options)?;
    let mut missing = Vec::new();
    let mut compiled = Compiled::default();
    // A second time only when facts were removed, or written by another version: cargo does not know them.
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

/// Runs `cargo check`: the metadata files of the workspace's crates, and the crates that it left out.
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
        // With an `.rlib` beside it, it was compiled for a build script or a procedural macro.
        if target.kind.iter().any(|kind| kind == "custom-build" || kind == "proc-macro")
            || !message.filenames.iter().all(is_metadata)
        {
            continue;
        }
        let folder = message.manifest_path.parent().unwrap_or(Path::new("")).to_owned();
        if workspace.workspace_members.contains(&message.package_id) {
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

/// The facts beside these files, and the files that have none. Two projects whose packages are named alike
/// may share a target folder; cargo then takes the one's artifacts for the other's, but the facts say whose
/// they are: compilers run at the workspace's root, or in the folder of a package that is not below it.
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

/// Where this tool keeps what is worth keeping between runs.
pub fn cache(workspace: &Workspace, options: &CargoOptions) -> PathBuf {
    let target: &Path = options.target_dir.as_deref().unwrap_or(&workspace.target_directory);
    target.join("unblock")
}
