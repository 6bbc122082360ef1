//! Is the same found in a service however its engine comes: as a member of its workspace, by path, by git?
//!
//! `engine/service` blocks wherever it hands something to the engine, and `engine/longpole` is a stub of the
//! engine with its names, signatures and private modules. As a member the stub is analysed with the service;
//! otherwise only the list knows what it does.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Run, here, unblock, write};
use serde_json::Value;
use tempfile::TempDir;

const TOKIO: &str = "tokio = { version = \"1\", features = [\"rt-multi-thread\"] }\n";

/// Their packages are called alike and share a target folder: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
}

/// The stub, in a folder of its own.
fn engine(folder: &Path) {
    write(folder, "Cargo.toml", &manifest("longpole", &format!("[dependencies]\n{TOKIO}")));
    copy("longpole", folder);
}

/// The service, with this line for its engine and this for its workspace.
fn service(folder: &Path, dependency: &str, workspace: &str) {
    let rest = format!("[dependencies]\n{TOKIO}longpole = {dependency}\n[workspace]\n{workspace}");
    write(folder, "Cargo.toml", &manifest("service", &rest));
    // With the versions that the other fixtures are built with.
    fs::copy(here().join("tests/fixtures/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    copy("service", folder);
}

fn copy(name: &str, folder: &Path) {
    let from = here().join("tests/engine").join(name);
    common::visit(&from, &mut |path| {
        let name = path.strip_prefix(&from).unwrap().to_str().unwrap();
        write(folder, name, &fs::read_to_string(path).unwrap());
    });
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let service = folder.path().join("service");
    fs::create_dir(&service).unwrap();
    (folder, service)
}

fn vendored() -> (TempDir, PathBuf) {
    let (folder, root) = folder();
    service(&root, "{ path = \"engine\" }", "members = [\".\", \"engine\"]\ndefault-members = [\".\"]\n");
    engine(&root.join("engine"));
    (folder, root)
}

fn by_path() -> (TempDir, PathBuf) {
    let (folder, root) = folder();
    service(&root, "{ path = \"../longpole\" }", "");
    engine(&folder.path().join("longpole"));
    (folder, root)
}

fn by_git() -> (TempDir, PathBuf) {
    let (folder, root) = folder();
    let (bare, work) = (folder.path().join("longpole.git"), folder.path().join("work"));
    git(folder.path(), &["init", "--quiet", "--bare", "longpole.git"]);
    git(folder.path(), &["clone", "--quiet", "longpole.git", "work"]);
    engine(&work);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "--message", "The engine"]);
    git(&work, &["push", "--quiet", "origin", "HEAD"]);
    let revision = git(&work, &["rev-parse", "HEAD"]);
    let dependency = format!("{{ git = \"file://{}\", rev = \"{}\" }}", bare.display(), revision.trim());
    service(&root, &dependency, "");
    (folder, root)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=longpole",
            "-c",
            "user.email=longpole@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn findings(root: &Path, arguments: &[&str]) -> (Vec<Value>, String) {
    let mut all = vec!["--message-format", "json"];
    all.extend(arguments);
    let Run { code, stdout, stderr } = unblock(root, &all);
    assert_eq!(code, 1, "{stderr}");
    (stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), stderr)
}

fn is_in(finding: &Value, folder: &str) -> bool {
    finding["place"]["file"].as_str().unwrap().starts_with(folder)
}

/// File, line and path of what is marked in the service.
fn marked() -> BTreeSet<(String, u64, String)> {
    let mut marked = BTreeSet::new();
    let root = here().join("tests/engine/service");
    common::visit(&root, &mut |path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        for (number, line) in (1..).zip(fs::read_to_string(path).unwrap().lines()) {
            if let Some((_, path)) = line.split_once("//~ BAD ") {
                marked.insert((name.to_owned(), number, path.to_owned()));
            }
        }
    });
    marked
}

#[test]
fn a_services_findings_are_the_same_however_the_engine_comes() {
    let _alone = alone();
    let (_vendored, vendored) = vendored();
    let (_by_path, by_path) = by_path();
    let (_by_git, by_git) = by_git();

    let (expected, _) = findings(&vendored, &["--package", "service"]);
    let found: BTreeSet<_> = expected
        .iter()
        .map(|finding| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let place = &finding["place"];
            (text(&place["file"]), place["line"].as_u64().unwrap(), text(&finding["path"]))
        })
        .collect();
    let marked = marked();
    let missing: Vec<_> = marked.difference(&found).collect();
    let too_much: Vec<_> = found.difference(&marked).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "missing: {missing:#?}\ntoo much: {too_much:#?}");
    assert!(marked.len() >= 25, "{}", marked.len());

    // To the last word: place, chain, cause.
    for (way, root) in [("by path", &by_path), ("by git", &by_git)] {
        for arguments in [&[][..], &["--package", "service"]] {
            let (found, stderr) = findings(root, arguments);
            assert_eq!(found, expected, "{way} {arguments:?}");
            assert!(!stderr.contains("not analysed"), "{way}: {stderr}");
        }
    }
    let (whole, _) = findings(&vendored, &[]);
    let (engines, services): (Vec<Value>, Vec<Value>) =
        whole.into_iter().partition(|finding| is_in(finding, "engine/"));
    assert_eq!(services, expected, "the whole workspace");
    assert!(!engines.is_empty());
}

const REACHES: &str = "async fn calls() -> usize {
    longpole::load()
}
async fn gives() -> usize {
    longpole::twice(|| {
        std::fs::read(\"x\").map_or(0, |bytes| bytes.len())
    }).await
}
async fn own() {
    // unblock: allow(for the baseline's sake)
    std::thread::park();
    std::thread::park();
}
fn main() {
    let _ = (calls(), gives(), own());
}
";

/// What the engine does is seen through the service's calls, and is not reported for its own sake.
#[test]
fn a_package_is_reported_with_the_chains_through_others() {
    let _alone = alone();
    let (_folder, root) = vendored();
    for file in ["handlers", "jobs", "start"] {
        fs::remove_file(root.join(format!("src/{file}.rs"))).unwrap();
    }
    write(&root, "src/main.rs", REACHES);
    let places = |arguments: &[&str]| -> Vec<(String, u32, String)> {
        let (found, _) = findings(&root, arguments);
        let place = |finding: Value| {
            let place = &finding["place"];
            let file = place["file"].as_str().unwrap().to_owned();
            (file, place["line"].as_u64().unwrap() as u32, finding["cause"].as_str().unwrap().to_owned())
        };
        found.into_iter().map(place).collect()
    };
    let at = |file: &str, line: u32, cause: &str| (format!("{file}.rs"), line, cause.to_owned());

    // Where the engine's async code calls a closure of the service, it is the closure that can be changed.
    let services =
        [at("src/main", 2, "load"), at("src/main", 6, "gives::{closure}"), at("src/main", 12, "own")];
    for arguments in
        [["--package", "service"], ["-p", "service@0.1.0"], ["-p", "s*[!x]"], ["--exclude", "long?ole"]]
    {
        assert_eq!(places(&arguments), services, "{arguments:?}");
    }
    let engine = "engine/src/lib";
    let own = fs::read_to_string(root.join(format!("{engine}.rs"))).unwrap();
    let line = |text: &str| (1..).zip(own.lines()).find(|(_, line)| line.contains(text)).unwrap().0;
    let load = at(engine, line("    load()"), "load");
    let exception = line("unblock: allow");
    let exception = at(engine, exception, &format!("{engine}.rs:{exception}"));
    assert_eq!(places(&["-p", "longpole"]), [load.clone(), exception.clone()]);
    // The whole workspace: where async code enters each chain.
    let twice = at(engine, line("work() + work()"), "gives::{closure}");
    let all = [twice.clone(), twice, load, exception, services[0].clone(), services[2].clone()];
    assert_eq!(places(&[]), all);
    assert_eq!(places(&["-p", "service", "-p", "longpole"]), all);

    // What the baseline says of another package stays.
    let baseline = |arguments: &[&str]| {
        let all = [&["--baseline", "baseline.tsv"][..], arguments].concat();
        let run = unblock(&root, &all);
        assert_eq!(run.code, 0, "{all:?}: {}{}", run.stdout, run.stderr);
        fs::read_to_string(root.join("baseline.tsv")).unwrap()
    };
    unblock(&root, &["--write-baseline", "baseline.tsv", "-p", "longpole"]);
    let before = fs::read_to_string(root.join("baseline.tsv")).unwrap();
    let run = unblock(&root, &["--baseline", "baseline.tsv", "-p", "service", "--message-format", "short"]);
    assert_eq!((run.code, run.places().len()), (1, 3), "{}", run.stderr);
    assert_eq!(baseline(&["-p", "longpole"]), before);

    // An owner may have changed the engine that they hold: what its functions do themselves is seen, too.
    let background = root.join("engine/src/background.rs");
    let text = fs::read_to_string(&background).unwrap();
    let call = "        tokio::spawn(task(CancellationToken));";
    fs::write(&background, text.replace(call, &format!("std::thread::park();\n{call}"))).unwrap();
    let main = "async fn starts() {\n    longpole::Background.start(\"x\", |_| async {});\n}\nfn main() {\n    let _ = starts();\n}\n";
    write(&root, "src/main.rs", main);
    assert_eq!(places(&["-p", "service"]), [at("src/main", 2, "background::Background::start")]);

    for (package, known) in
        [("longpol", "these are: longpole, service"), ("tokio", "only members are analysed")]
    {
        let run = unblock(&root, &["-p", package]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{package}");
        assert!(run.stderr.contains(&format!("`--package {package}` names no member")), "{}", run.stderr);
        assert!(run.stderr.contains(known), "{}", run.stderr);
    }
}
