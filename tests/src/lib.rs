//! Generates services from the template, builds them and runs them.
//!
//! What is slow is shared: the tools are built once by `ci/cargo-generate.sh`, and every generated
//! service is built in one target folder, `target/generated`. Nothing here waits for a fixed time: it
//! polls for what it wants to see, up to a deadline.

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
pub mod status;
pub mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// The repository under test. Asked at run time: two checkouts may share a target folder.
pub fn repo() -> PathBuf {
    let tests = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it when it runs the tests");
    Path::new(&tests).parent().unwrap().to_owned()
}

/// Where generated services are built. Shared, so that their dependencies are built once.
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

/// How they are built: what only a person at work needs is left out, which saves gigabytes.
pub fn build_variables() -> [(&'static str, OsString); 3] {
    [
        ("CARGO_TARGET_DIR", target_dir().into()),
        ("CARGO_INCREMENTAL", "0".into()),
        ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only".into()),
    ]
}

/// The same for what runs `cargo unblock`: finds the one of this repository.
pub fn check_variables() -> Vec<(&'static str, OsString)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path =
        env::join_paths([unblock_dir().to_owned()].into_iter().chain(env::split_paths(&path))).unwrap();
    build_variables().into_iter().chain([("PATH", path)]).collect()
}

/// An empty folder that keeps its path from run to run, so that cargo replaces what it built there
/// before instead of piling up.
pub fn place(name: &str) -> PathBuf {
    let path = repo().join("target/trees").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path.canonicalize().unwrap()
}
