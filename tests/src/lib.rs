//! Generates services from the template, builds them and runs them.
//!
//! Slow work is shared: `ci/cargo-generate.sh` builds the tools once, and every generated service is built in one
//! target folder, `target/generated`. No test waits for a fixed time. Each test asks again and again for what it
//! expects, up to a deadline.

pub mod api;
pub mod browser;
pub mod generate;
pub mod git;
pub mod modules;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod service;
pub mod settings;
pub mod sqlx_cli;
pub mod status;
pub mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// The repository under test. The path is asked for at run time, since two checkouts may share a target folder.
pub fn repo() -> PathBuf {
    let tests = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it when it runs the tests");
    Path::new(&tests).parent().unwrap().to_owned()
}

/// The folder in which generated services are built. They share it, so that their dependencies are built once.
pub fn target_dir() -> PathBuf {
    repo().join("target/generated")
}

/// The folder of `cargo-unblock`, built from this repository.
pub fn unblock_dir() -> &'static Path {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut build = Command::new("cargo");
        build.args(["build", "--release", "--locked", "--package", "cargo-unblock"]).current_dir(repo());
        process::run(build.env("CARGO_TARGET_DIR", repo().join("target")));
        repo().join("target/release")
    });
    &DIR
}

/// The variables with which services are built. They leave out what only a person at work needs, which saves gigabytes.
pub fn build_variables() -> [(&'static str, OsString); 3] {
    [
        ("CARGO_TARGET_DIR", target_dir().into()),
        ("CARGO_INCREMENTAL", "0".into()),
        ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only".into()),
    ]
}

/// The variables for commands that run `cargo unblock`, too. With them, cargo finds the `cargo unblock` of this
/// repository.
pub fn check_variables() -> Vec<(&'static str, OsString)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path =
        env::join_paths([unblock_dir().to_owned()].into_iter().chain(env::split_paths(&path))).unwrap();
    build_variables().into_iter().chain([("PATH", path)]).collect()
}

/// An empty folder whose path is the same in each run. So cargo replaces what it has built there before, and the builds
/// do not pile up.
pub fn place(name: &str) -> PathBuf {
    let path = repo().join("target/trees").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path.canonicalize().unwrap()
}
