//! Longpole as a bare repository on disk, for services that depend on it by URL and revision.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::process::run;
use crate::{place, repo, tree};

pub struct Repository {
    pub url: String,
    pub revision: String,
}

/// The working tree as its one commit. Its path and its date are always the same, so that the revision changes with the
/// content alone, and cargo need not build what it has built before.
pub fn repository() -> &'static Repository {
    static REPOSITORY: LazyLock<Repository> = LazyLock::new(|| {
        let work = tempfile::tempdir().unwrap();
        tree::copy(&repo(), work.path(), |name| !matches!(name.rsplit('/').next(), Some("target" | ".git")));
        git(work.path(), &["init", "--quiet"]);
        git(work.path(), &["add", "--all"]);
        git(work.path(), &["commit", "--quiet", "--message", "Longpole"]);
        let bare = place("git").join("longpole.git");
        git(work.path(), &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        let told = Command::new("git").arg("-C").arg(&bare).args(["rev-parse", "HEAD"]).output().unwrap();
        let revision = String::from_utf8(told.stdout).unwrap().trim().to_owned();
        Repository { url: format!("file://{}", bare.display()), revision }
    });
    &REPOSITORY
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    // The settings and the variables of the person who runs the tests must not matter.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "tests")
            .env(format!("GIT_{who}_EMAIL"), "tests@localhost")
            .env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    run(command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder).args(arguments));
}
