//! The real cargo-generate, and a template to give it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

use tempfile::TempDir;

use crate::{repo, tree};

/// The newest release with which these tests were written. It is the same as in `ci/cargo-generate.sh`.
pub const NEWEST: &str = "0.26.0";
/// The oldest release that `cargo-generate.toml` admits.
pub const OLDEST: &str = "0.23.14";

/// The path of a cargo-generate of exactly this version.
pub fn cargo_generate(version: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let path = built.entry(version).or_insert_with(|| {
        let output =
            Command::new("sh").arg(repo().join("ci/cargo-generate.sh")).arg(version).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ci/cargo-generate.sh {version}: {stderr}");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    });
    path.clone()
}

/// The template as a developer has it, with the files that appear when the template is built and run in place.
pub fn template() -> &'static Path {
    static TEMPLATE: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("template");
        fs::copy(repo().join("cargo-generate.toml"), dir.path().join("cargo-generate.toml")).unwrap();
        tree::copy(&repo().join("template"), &template, |name| !LEFTOVERS.contains(&name));
        for name in LEFTOVERS {
            fs::create_dir_all(template.join(name)).unwrap();
            fs::write(template.join(name).join("leftover"), "").unwrap();
        }
        dir
    });
    TEMPLATE.path()
}

/// The folders that appear when the template is built and run in place.
pub const LEFTOVERS: [&str; 5] = ["target", "data", "logs", "engine/target", "engine/testing/target"];

/// One call of `cargo generate --silent`.
pub struct Generate {
    command: Command,
    path: PathBuf,
}

/// Generates `name` into the folder `into`.
pub fn generate(version: &'static str, name: &str, into: &Path) -> Generate {
    let mut command = Command::new(cargo_generate(version));
    command
        .arg("generate")
        .args(["--silent", "--vcs", "none", "--no-workspace"])
        .arg("--path")
        .arg(template())
        .arg("--destination")
        .arg(into)
        .args(["--name", name])
        .env("USER", "tests")
        .env("RUST_BACKTRACE", "0");
    Generate { command, path: into.join(name) }
}

impl Generate {
    pub fn answer(mut self, key: &str, value: &str) -> Self {
        self.command.arg("--define").arg(format!("{key}={value}"));
        self
    }

    pub fn flag(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    pub fn output(mut self) -> Output {
        self.command.output().unwrap()
    }

    /// The path of the generated service.
    pub fn done(self) -> PathBuf {
        let path = self.path.clone();
        let output = self.output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo-generate: {stderr}");
        path
    }
}
