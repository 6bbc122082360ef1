//! sqlx-cli, which writes the folder `.sqlx` of a service whose queries are checked by sqlx's macros.

use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::sync::LazyLock;

use crate::process::run;
use crate::repo;

/// The version of sqlx in the template's lock file.
const VERSION: &str = "0.9.0";

/// The value of `PATH` with which `sqlx` and `cargo sqlx` are found. sqlx-cli is built once, in about two minutes.
pub fn path() -> OsString {
    static BUILT: LazyLock<()> = LazyLock::new(|| {
        let root = repo().join(format!("target/tools/sqlx-cli-{VERSION}"));
        if root.join("bin/cargo-sqlx").exists() {
            return;
        }
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "sqlx-cli", "--version", VERSION, "--no-default-features"]);
        install.args(["--features", "sqlite,postgres,rustls", "--root"]).arg(root);
        run(install.arg("--target-dir").arg(repo().join("target/tools/build")));
    });
    LazyLock::force(&BUILT);
    let tool = repo().join(format!("target/tools/sqlx-cli-{VERSION}/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([tool].into_iter().chain(env::split_paths(&path))).unwrap()
}
