//! Runs the tool on projects, as cargo does.
#![allow(dead_code, reason = "each test file takes what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// This crate's folder. Asked at run time: two checkouts may share a target folder.
pub fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it when it runs the tests").into()
}

/// Where the projects are built: shared, so that their dependencies are built once.
pub fn target() -> PathBuf {
    here().join("../../target/unblock-tests")
}

pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Path, line and column of each line of the short format.
    pub fn places(&self) -> Vec<(String, u32, u32)> {
        let place = |line: &str| {
            let (place, _) = line.split_once(": ").unwrap_or_else(|| panic!("not a finding: {line}"));
            let mut parts = place.rsplitn(3, ':');
            let mut number = || parts.next().unwrap().parse::<u32>().unwrap();
            let (column, row) = (number(), number());
            (parts.next().unwrap().to_owned(), row, column)
        };
        self.stdout.lines().map(place).collect()
    }

    pub fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The tool in this folder, as `cargo unblock` runs it.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-unblock"));
    command
        .arg("unblock")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_TERM_COLOR", "never");
    for variable in ["RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_UNBLOCK_WRAPPER", "GITHUB_ACTIONS"] {
        command.env_remove(variable);
    }
    command
}

pub fn unblock(folder: &Path, arguments: &[&str]) -> Run {
    command(folder).args(arguments).output().unwrap().into()
}

/// A library of one file, edition 2024, without dependencies.
pub fn package(name: &str, source: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix("unblock ").tempdir().unwrap();
    write(
        folder.path(),
        "Cargo.toml",
        &format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n"),
    );
    write(folder.path(), "src/lib.rs", source);
    folder
}

pub fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Every Rust file below a folder.
pub fn visit(folder: &Path, see: &mut dyn FnMut(&Path)) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&path);
        }
    }
}

/// Every file below a folder.
pub fn visit_all(folder: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit_all(&path, see);
        } else {
            see(&path);
        }
    }
}

/// The target that the compiler runs on.
pub fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
