//! Does it take packages and features as cargo does, and does it say which crates it did not look into?

mod common;

use std::fs;
use std::path::Path;

use common::{Run, unblock, write};
use serde_json::Value;

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}")
}

fn files(root: &Path, arguments: &[&str]) -> Vec<(String, u32)> {
    let all = [&["--message-format", "short"][..], arguments].concat();
    let run = unblock(root, &all);
    assert!(run.code < 2, "{all:?}: {}", run.stderr);
    run.places().into_iter().map(|(file, line, _)| (file, line)).collect()
}

fn at(file: &str, line: u32) -> (String, u32) {
    (file.to_owned(), line)
}

const SERVICE: &str = "pub async fn direct() { std::thread::park(); }
pub async fn through() { engine::work(); }
#[cfg(feature = \"extra\")]
pub async fn extra() { std::thread::park(); }
";
/// One of two features, as two databases.
const ENGINE: &str = "#[cfg(all(feature = \"one\", feature = \"extra\"))]
compile_error!(\"one or the other\");
#[cfg(feature = \"extra\")]
pub fn work() { std::thread::park(); }
#[cfg(not(feature = \"extra\"))]
pub fn work() {}
pub async fn own() { std::thread::park(); }
";

/// A package at the root with the engine below it, and the same without a package at the root.
#[test]
fn packages_and_features_are_taken_as_cargo_takes_them() {
    let engine = manifest("engine", "[features]\none = []\nextra = []\n");
    let service = "[features]\nextra = []\n[dependencies.engine]\nfeatures = [\"one\"]\npath = ";

    let mixed = tempfile::tempdir().unwrap();
    let mixed = mixed.path();
    let workspace = "\n[workspace]\nmembers = [\".\", \"engine\"]\ndefault-members = [\".\"]\n";
    write(mixed, "Cargo.toml", &manifest("service", &format!("{service}\"engine\"{workspace}")));
    write(mixed, "src/lib.rs", SERVICE);
    write(mixed, "engine/Cargo.toml", &engine);
    write(mixed, "engine/src/lib.rs", ENGINE);

    let parts = tempfile::tempdir().unwrap();
    let parts = parts.path();
    write(
        parts,
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"service\", \"engine\"]\ndefault-members = [\"engine\"]\n",
    );
    write(parts, "service/Cargo.toml", &manifest("service", &format!("{service}\"../engine\"\n")));
    write(parts, "service/src/lib.rs", SERVICE);
    write(parts, "engine/Cargo.toml", &engine);
    write(parts, "engine/src/lib.rs", ENGINE);

    for (root, file, below) in [(mixed, "src/lib.rs", "engine"), (parts, "service/src/lib.rs", "service")] {
        let direct = at(file, 1);
        // `default-members` is for other commands: without --package, all members are asked about.
        assert_eq!(files(root, &[]), sorted([direct.clone(), at("engine/src/lib.rs", 7)]));
        assert_eq!(files(root, &["-p", "service"]), [at(file, 1)]);
        assert_eq!(files(root, &["-p", "engine"]), [at("engine/src/lib.rs", 7)]);
        // The service's feature, not that of another member that is called alike.
        let extra = [direct.clone(), at(file, 4)];
        for features in ["--features=extra", "--features=service/extra", "-Fextra", "--all-features"] {
            assert_eq!(files(root, &["-p", "service", features]), extra, "{features}");
        }
        assert_eq!(files(&root.join(below), &["-p", "service", "--features", "extra"]), extra);
        let both = unblock(root, &["--all-features"]);
        assert_eq!(both.code, 2, "all features of all members: {}", both.stderr);
        assert!(both.stderr.contains("one or the other"), "{}", both.stderr);
    }

    // A feature of the engine that the service asks for: the chain through it starts in the service.
    let manifest = fs::read_to_string(mixed.join("Cargo.toml")).unwrap();
    write(mixed, "Cargo.toml", &manifest.replace("features = [\"one\"]", "features = [\"extra\"]"));
    assert_eq!(files(mixed, &["-p", "service"]), [at("src/lib.rs", 1), at("src/lib.rs", 2)]);
}

fn sorted<const N: usize>(mut places: [(String, u32); N]) -> [(String, u32); N] {
    places.sort();
    places
}

/// A path dependency outside of the workspace: the compiler's wrapper does not reach it.
#[test]
fn a_path_dependency_that_nobody_looks_into_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let root = folder.join("service");
    let dependencies = "[dependencies]\nmy-codec = { path = \"../codec\" }\nmy-macros = { path = \"../macros\" }\n\
                        longpole = { path = \"../longpole\" }\n[build-dependencies]\nmy-build = { path = \"../build\" }\n";
    write(&root, "Cargo.toml", &manifest("outside", &format!("{dependencies}[workspace]\n")));
    write(&root, "build.rs", "fn main() { my_build::make(); }\n");
    write(&root, "src/lib.rs", "pub async fn f() {\n    my_codec::slow();\n    longpole::start();\n}\n");
    write(&folder, "codec/Cargo.toml", &manifest("my-codec", ""));
    write(&folder, "codec/src/lib.rs", "pub fn slow() { std::thread::park(); }\n");
    write(&folder, "longpole/Cargo.toml", &manifest("longpole", ""));
    write(&folder, "longpole/src/lib.rs", "pub fn start() {}\n");
    write(&folder, "build/Cargo.toml", &manifest("my-build", ""));
    write(&folder, "build/src/lib.rs", "pub fn make() {}\n");
    write(&folder, "macros/Cargo.toml", &manifest("my-macros", "[lib]\nproc-macro = true\n"));
    write(&folder, "macros/src/lib.rs", "");

    let note = |run: &Run| -> Vec<String> {
        run.stderr.lines().filter(|line| line.contains("not analysed")).map(str::to_owned).collect()
    };
    let expected = format!(
        "note: path dependencies outside of the workspace are not analysed: `my-codec` ({}); \
         make each a member of the workspace, or list what blocks in it in unblock.toml",
        folder.join("codec").display()
    );
    // The second time nothing is compiled.
    for _ in 0..2 {
        let run = unblock(&root, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
        assert_eq!(note(&run), [&*expected]);
    }
    let quiet = unblock(&root, &["--quiet"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));

    // What a program reads has nothing of it.
    for format in ["json", "github", "short"] {
        let run = unblock(&root, &["--message-format", format]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{format}");
        assert_eq!(note(&run), [&*expected], "{format}");
    }
    let sarif: Value = serde_json::from_str(&unblock(&root, &["--message-format", "sarif"]).stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 0);

    // Both ways out.
    write(&root, "unblock.toml", "[[block]]\npath = \"my_codec::slow\"\n");
    let listed = unblock(&root, &["--message-format", "short"]);
    assert_eq!((listed.places(), note(&listed)), (vec![("src/lib.rs".to_owned(), 2, 5)], Vec::new()));
    fs::remove_file(root.join("unblock.toml")).unwrap();
    write(&folder, "codec/Cargo.toml", &manifest("my-codec", "workspace = \"../service\"\n"));
    let members = format!("{dependencies}[workspace]\nmembers = [\"../codec\"]\n");
    write(&root, "Cargo.toml", &manifest("outside", &members));
    let member = unblock(&root, &["--message-format", "short"]);
    let found = (member.places(), note(&member));
    assert_eq!(found, (vec![("src/lib.rs".to_owned(), 2, 5)], Vec::new()), "{}", member.stderr);
}
