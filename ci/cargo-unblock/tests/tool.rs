//! Does it do what its help says: formats, exit codes, exceptions, baselines, configuration, projects of
//! every shape?

mod common;

use std::fs;

use common::{Run, package, unblock, write};
use tempfile::TempDir;

const ONE: &str = "pub async fn one() { let _ = std::fs::read(\"x\"); }\n";

fn short(folder: &TempDir) -> Run {
    unblock(folder.path(), &["--message-format", "short"])
}

fn lines(run: &Run) -> Vec<u32> {
    run.places().into_iter().map(|(_, line, _)| line).collect()
}

#[test]
fn exit_codes_tell_clean_findings_and_failure_apart() {
    let clean = unblock(package("clean", "pub async fn f() {}\n").path(), &[]);
    assert_eq!((clean.code, clean.stdout.as_str()), (0, ""));
    assert_eq!(unblock(package("one", ONE).path(), &[]).code, 1);

    let broken = unblock(package("broken", "pub async fn f() { missing() }\n").path(), &[]);
    assert_eq!((broken.code, broken.stdout.as_str()), (2, ""));
    assert!(
        broken.stderr.contains("error[E0425]") && broken.stderr.contains("does not compile"),
        "{}",
        broken.stderr
    );

    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(unblock(nowhere.path(), &[]).code, 2);
    assert_eq!(unblock(nowhere.path(), &["--no-such-option"]).code, 2);
    let run = unblock(package("clean", "").path(), &["-p", "no-such-package"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn short_says_place_api_chain_and_cure() {
    let folder = package(
        "chain",
        "mod disk {\n    pub fn load() -> u64 {\n        size()\n    }\n    fn size() -> u64 {\n        \
         std::fs::metadata(\"x\").map_or(0, |m| m.len())\n    }\n}\n\npub async fn handler() -> u64 {\n    disk::load()\n}\n",
    );
    let run = short(&folder);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    assert!(run.stdout.starts_with("src/lib.rs:11:5: `std::fs::metadata` blocks"), "{}", run.stdout);
    for part in ["`disk::load`", "`disk::size`", "tokio::task::spawn_blocking", "tokio::fs::metadata"] {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }

    let human = unblock(folder.path(), &[]).stdout;
    for part in [
        "--> src/lib.rs:11:5",
        "src/lib.rs:3:9",
        "src/lib.rs:6:9",
        "disk::load()",
        "which blocks",
        "1 finding, 1 root cause",
    ] {
        assert!(human.contains(part), "no {part} in {human}");
    }

    let json = &unblock(folder.path(), &["--message-format", "json"]).json()[0];
    assert_eq!(json["kind"], "blocking");
    assert_eq!(json["steps"].as_array().unwrap().len(), 3);
    assert_eq!(json["cause"], "disk::size");

    let github = unblock(folder.path(), &["--message-format", "github"]).stdout;
    assert!(github.starts_with("::error file=src/lib.rs,line=11,"), "{github}");
    assert_eq!(github.lines().count(), 1);

    let sarif: serde_json::Value =
        serde_json::from_str(&unblock(folder.path(), &["--message-format", "sarif"]).stdout).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 11);
    assert_eq!(result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap().len(), 3);
}

#[test]
fn annotations_name_files_from_the_repositorys_root() {
    let repository = tempfile::tempdir().unwrap();
    let project = repository.path().join("services/one");
    write(&project, "Cargo.toml", "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    write(&project, "src/lib.rs", ONE);
    let run = |format: &str| -> Run {
        let mut command = common::command(&project);
        command.args(["--message-format", format]).env("GITHUB_WORKSPACE", repository.path());
        command.output().unwrap().into()
    };
    let github = run("github");
    assert!(github.stdout.starts_with("::error file=services/one/src/lib.rs,line=1,"), "{}", github.stdout);
    assert!(run("sarif").stdout.contains("\"services/one/src/lib.rs\""));
    assert!(run("short").stdout.starts_with("src/lib.rs:1:"));
}

#[test]
fn findings_with_one_cause_are_one_diagnostic() {
    let folder = package(
        "grouped",
        "fn load() { let _ = std::fs::read(\"a\"); let _ = std::fs::metadata(\"b\"); }
         pub async fn a() { load(); }
         pub async fn b() { load(); }
         pub async fn c() { std::thread::sleep(std::time::Duration::ZERO); }",
    );
    let human = unblock(folder.path(), &[]).stdout;
    assert!(human.contains("reached from 2 places"), "{human}");
    assert!(human.contains("2 blocking calls"), "{human}");
    assert!(human.contains("3 findings, 2 root causes") && human.contains("2  `load`"), "{human}");
}

#[test]
fn an_exception_needs_a_reason_and_a_use() {
    let run = short(&package(
        "allowed",
        "pub async fn above() {
             // unblock: allow(once, at start-up)
             let _ = std::fs::read(\"x\");
             let _ = std::fs::read(\"x\"); // unblock: allow(a tiny file)
             // unblock: allow()
             let _ = std::fs::read(\"x\");
             // unblock: allow(nothing here blocks)
             let _ = 1 + 1;
         }
         fn helper() {
             // unblock: allow(in memory, whatever it says)
             let _ = std::fs::read(\"x\");
         }
         pub async fn calls() { helper(); }
         fn sync() {
             let _ = std::fs::read(\"x\"); // unblock: allow(no async code comes here)
         }
         pub fn uses() { sync() }
         #[cfg(test)]
         fn not_compiled() {
             // unblock: allow(not compiled here)
             let _ = std::fs::read(\"x\");
         }",
    ));
    assert_eq!(lines(&run), [5, 7, 16], "{}", run.stdout);
    let messages: Vec<&str> = run.stdout.lines().collect();
    assert!(messages[0].contains("gives no reason"), "{}", run.stdout);
    assert!(
        messages[1].contains("excuses nothing") && messages[2].contains("excuses nothing"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_baseline_passes_the_known_fails_the_new_and_shrinks() {
    let folder =
        package("old", &format!("{ONE}pub async fn two() {{ let _ = std::fs::metadata(\"x\"); }}\n"));
    let file = folder.path().join("baseline.tsv");
    let with = |arguments: &[&str]| unblock(folder.path(), arguments);

    let absent = with(&["--baseline", "baseline.tsv"]);
    assert_eq!(absent.code, 2);
    assert!(absent.stderr.contains("--write-baseline"), "{}", absent.stderr);

    assert_eq!(with(&["--write-baseline", "baseline.tsv"]).code, 0);
    let before = fs::read_to_string(&file).unwrap();
    assert_eq!(before.lines().filter(|line| !line.starts_with('#')).count(), 2, "{before}");
    assert_eq!(with(&["--baseline", "baseline.tsv"]).code, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    // One is gone, one is new, lines have moved.
    write(
        folder.path(),
        "src/lib.rs",
        &format!("\n\n{ONE}pub async fn three() {{ std::thread::park(); }}\n"),
    );
    let run = with(&["--baseline", "baseline.tsv", "--message-format", "short"]);
    assert_eq!((run.code, lines(&run)), (1, vec![4]));
    let after = fs::read_to_string(&file).unwrap();
    assert!(
        after.contains("std::fs::read") && !after.contains("std::fs::metadata") && !after.contains("park"),
        "{after}"
    );

    fs::write(&file, "one\ttwo\n").unwrap();
    let malformed = with(&["--baseline", "baseline.tsv"]);
    assert_eq!(malformed.code, 2);
    assert!(malformed.stderr.contains("baseline.tsv:1:"), "{}", malformed.stderr);
}

#[test]
fn a_project_adds_to_the_list_and_takes_from_it() {
    let folder = package(
        "own",
        "pub fn slow() {}
         pub fn run_elsewhere<F: FnOnce()>(f: F) { f() }
         pub async fn f() {
             slow();
             let _ = std::fs::read(\"x\");
             run_elsewhere(|| { let _ = std::fs::metadata(\"x\"); });
         }",
    );
    assert_eq!(lines(&short(&folder)), [5, 6]);
    let config = "offload = [\"own::run_elsewhere\"]\nexclude = [\"std::fs::read\"]\n[[block]]\npath = \"own::slow\"\ninstead = \"fast\"\n";
    write(folder.path(), "unblock.toml", config);
    let run = short(&folder);
    assert_eq!(lines(&run), [4], "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("fast"), "{}", run.stdout);

    let list = unblock(folder.path(), &["list"]).stdout;
    assert!(list.contains("own::slow\tblock\town\tfast\n") && !list.contains("\nstd::fs::read\t"), "{list}");

    write(folder.path(), "unblock.toml", "\noffload = [\"own::run_elsewere\"]\n");
    let slip = short(&folder);
    assert_eq!((slip.code, slip.stdout.as_str()), (2, ""));
    assert!(
        slip.stderr.contains("unblock.toml:2: `own::run_elsewere`: crate `own` has no such function"),
        "{}",
        slip.stderr
    );

    fs::remove_file(folder.path().join("unblock.toml")).unwrap();
    let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
    write(
        folder.path(),
        "Cargo.toml",
        &format!("{manifest}[workspace.metadata.unblock]\nexclude = [\"std::fs::read\"]\n"),
    );
    assert_eq!(lines(&short(&folder)), [6]);
    write(
        folder.path(),
        "Cargo.toml",
        &format!("{manifest}[workspace.metadata.unblock]\nexclude = [\"std::fs::reed\"]\n"),
    );
    let slip = short(&folder);
    assert_eq!(slip.code, 2);
    assert!(slip.stderr.contains("Cargo.toml:7: `std::fs::reed` is not on the list"), "{}", slip.stderr);
    write(folder.path(), "unblock.toml", "");
    assert!(short(&folder).stderr.contains("keep one of them"));
}

#[test]
fn a_program_and_its_library_may_have_one_name() {
    let folder = package("twins", "pub fn load() {}\npub fn read() { let _ = std::fs::read(\"x\"); }\n");
    let main = "fn load() { let _ = std::fs::read(\"x\"); }\nfn read() {}\nstruct Own;\nimpl Own { fn go(&self) { load() } }\n\
                async fn f() {\n    twins::load();\n    load();\n    twins::read();\n    read();\n    Own.go();\n}\nfn main() { let _ = f(); }\n";
    write(folder.path(), "src/main.rs", main);
    let run = short(&folder);
    assert_eq!(lines(&run), [7, 8, 10], "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains('~'), "{}", run.stdout);
    write(folder.path(), "unblock.toml", "offload = [\"twins::load\"]\n[[block]]\npath = \"twins::read\"\n");
    // A path of the configuration names both.
    assert_eq!(lines(&short(&folder)), [8, 9]);
}

#[test]
fn explain_says_why() {
    let folder = package("clean", "");
    let run = unblock(folder.path(), &["--explain", "std::thread::sleep"]);
    assert_eq!(run.code, 0);
    assert!(
        run.stdout.contains("parks this thread") && run.stdout.contains("tokio::time::sleep"),
        "{}",
        run.stdout
    );
    let of_finding = unblock(folder.path(), &["--explain", "<std::fs::File as std::io::Read>::read_to_end"]);
    assert!(of_finding.stdout.contains("source"), "{}", of_finding.stdout);
    let unknown = unblock(folder.path(), &["--explain", "tokio::fs::read"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("std::fs::read"), "{}", unknown.stderr);
}

/// A workspace with a virtual manifest, every edition, a feature, a build script, a procedural macro, a
/// toolchain file and a clippy.toml of its own; its path has a space and its name is no ASCII.
#[test]
fn projects_of_every_shape_work() {
    let folder = tempfile::Builder::new().prefix("a b\u{fc} ").tempdir().unwrap();
    let root = folder.path();
    write(root, "Cargo.toml", "[workspace]\nmembers = [\"*-crate\"]\nresolver = \"2\"\n");
    write(root, "rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n");
    write(root, "clippy.toml", "disallowed-methods = [\"std::fs::read\"]\n");
    for edition in ["2015", "2018", "2021", "2024"] {
        let manifest = format!(
            "[package]\nname = \"e{edition}-crate\"\nversion = \"0.1.0\"\nedition = \"{edition}\"\n[features]\nextra = []\n{}",
            if edition == "2021" {
                "[dependencies]\ne2018-crate = { path = \"../e2018-crate\" }\nmaker-crate = { path = \"../maker-crate\" }\n"
            } else {
                ""
            }
        );
        write(root, &format!("e{edition}-crate/Cargo.toml"), &manifest);
    }
    let by_hand = "use std::future::Future;\nuse std::pin::Pin;\nuse std::task::{Context, Poll};\npub struct F;\nimpl Future for F {\n    type Output = ();\n    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {\n        ::std::thread::park();\n        Poll::Ready(())\n    }\n}\n";
    write(root, "e2015-crate/src/lib.rs", by_hand);
    write(
        root,
        "e2018-crate/src/lib.rs",
        "pub mod inner { pub fn load() { let _ = std::fs::read(\"x\"); } }\npub use self::inner::load as fetch;\n",
    );
    write(
        root,
        "e2021-crate/src/main.rs",
        "maker_crate::make!();\nasync fn f() {\n    e2018_crate::fetch();\n    #[cfg(feature = \"extra\")]\n    std::thread::park();\n}\nfn main() { let _ = f(); let _ = std::fs::read(\"x\"); }\n",
    );
    write(root, "e2021-crate/build.rs", "fn main() { let _ = std::fs::read(\"x\"); }\n");
    write(
        root,
        "e2024-crate/src/lib.rs",
        "pub async fn f() {}\n#[cfg(test)]\nmod tests { async fn g() { std::thread::park(); } }\n",
    );
    write(
        root,
        "maker-crate/Cargo.toml",
        "[package]\nname = \"maker-crate\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\nproc-macro = true\n",
    );
    write(
        root,
        "maker-crate/src/lib.rs",
        "#[proc_macro]\npub fn make(_: proc_macro::TokenStream) -> proc_macro::TokenStream { let _ = std::fs::read(\"x\"); Default::default() }\n",
    );

    let files = |run: &Run| -> Vec<(String, u32)> {
        run.places().into_iter().map(|(file, line, _)| (file, line)).collect()
    };
    let main = "e2021-crate/src/main.rs".to_owned();
    let hand = "e2015-crate/src/lib.rs".to_owned();
    let all = unblock(root, &["--message-format", "short"]);
    assert_eq!(files(&all), [(hand.clone(), 8), (main.clone(), 3)], "{}{}", all.stdout, all.stderr);
    let extra = unblock(root, &["--message-format", "short", "--features", "e2021-crate/extra"]);
    assert_eq!(files(&extra), [(hand.clone(), 8), (main.clone(), 3), (main.clone(), 5)], "{}", extra.stderr);
    let one = unblock(root, &["--message-format", "short", "-p", "e2021-crate"]);
    assert_eq!(files(&one), [(main.clone(), 3)], "{}", one.stderr);
    let host = common::host();
    let target = unblock(root, &["--message-format", "short", "--target", &host]);
    assert_eq!(files(&target), files(&all), "{}", target.stderr);
    let elsewhere = tempfile::tempdir().unwrap();
    let manifest = root.join("Cargo.toml");
    let run = unblock(
        elsewhere.path(),
        &["--message-format", "short", "--manifest-path", manifest.to_str().unwrap()],
    );
    assert_eq!(files(&run), files(&all), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_leads_to_the_same_project() {
    let folder = package("linked", ONE);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    let manifest = link.join("Cargo.toml");
    let run = unblock(
        elsewhere.path(),
        &["--message-format", "short", "--manifest-path", manifest.to_str().unwrap()],
    );
    assert_eq!(run.places(), [("src/lib.rs".to_owned(), 1, 30)], "{}", run.stderr);
}

/// `cargo check` finds nothing of it in its own cache, and it finds nothing of `cargo check`'s.
#[test]
fn the_projects_own_build_cache_is_left_alone() {
    let folder = package("cached", ONE);
    let target = tempfile::tempdir().unwrap();
    let check = |expected: &str| {
        let output = std::process::Command::new("cargo")
            .args(["check", "--color", "never"])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", target.path())
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.contains("Checking cached"), expected == "compiles", "{text}");
    };
    let run = |expected: &str| {
        let output: Run = common::command(folder.path())
            .args(["--message-format", "short"])
            .env("CARGO_TARGET_DIR", target.path())
            .output()
            .unwrap()
            .into();
        assert_eq!(output.code, 1, "{}", output.stderr);
        assert_eq!(output.stderr.contains("Checking cached"), expected == "compiles", "{}", output.stderr);
    };
    check("compiles");
    run("compiles");
    check("is fresh");
    run("is fresh");
    // Another project of the same name, in the same folder.
    let other = package("cached", "pub async fn f() {}\n");
    let clean: Run =
        common::command(other.path()).env("CARGO_TARGET_DIR", target.path()).output().unwrap().into();
    assert_eq!(clean.code, 0, "{}{}", clean.stdout, clean.stderr);
    run("compiles");
    // Facts that are gone, or another version's, are made anew.
    common::visit_all(target.path(), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "unblock") {
            fs::write(path, "not facts").unwrap();
        }
    });
    run("compiles");
    run("is fresh");
}

#[test]
fn nothing_makes_it_panic() {
    let deep = format!("pub async fn f() {{ {}std::thread::park(){}; }}\n", "{".repeat(100), "}".repeat(100));
    let types = format!(
        "pub async fn f(_: {}u8{}) {{ std::thread::park(); }}\n",
        "Option<".repeat(60),
        ">".repeat(60)
    );
    let long: String = (0..10_000).map(|n| format!("pub fn f{n}() -> usize {{ {n} }}\n")).collect();
    let growing = "pub struct W<T>(T);\npub trait Go { fn go(&self, n: u8); }\nimpl<T> Go for W<T> { fn go(&self, n: u8) { if n > 0 { grow::<T>(n) } } }\npub fn grow<T>(n: u8) where { let _ = std::fs::read(\"x\"); if n > 0 { step::<T>(n - 1) } }\npub fn step<T>(n: u8) { grow::<T>(n) }\npub async fn f() { grow::<u8>(3) }\n";
    for (name, source, expected) in [
        ("empty", "", 0),
        ("deep", deep.as_str(), 1),
        ("types", types.as_str(), 1),
        ("long", long.as_str(), 0),
        ("growing", growing, 1),
        ("garbage", "\u{1}\u{2} }{ <<<", 2),
        ("comments", "// unblock:\n// unblock: allow(\n// unblock: allow)(\npub fn f() {}\n", 1),
    ] {
        let run = short(&package(name, source));
        assert_eq!(run.code, expected, "{name}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{name}: {}", run.stderr);
    }
    let folder = package("binary", "");
    fs::write(folder.path().join("src/lib.rs"), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(short(&folder).code, 2);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_utf8_is_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(std::ffi::OsStr::from_bytes(b"not-\xff-utf8"));
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"odd\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    )
    .unwrap();
    fs::write(folder.join("src/lib.rs"), ONE).unwrap();
    let run = unblock(&folder, &["--message-format", "short"]);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert!([1, 2].contains(&run.code), "{}", run.stderr);
}

/// What an input holds must never become text of a script.
#[test]
fn the_actions_inputs_reach_the_shell_as_variables_only() {
    let action = fs::read_to_string(common::here().join("../action.yml")).unwrap();
    let mut scripts = 0;
    let mut within: Option<usize> = None;
    for line in action.lines() {
        let indent = line.len() - line.trim_start().len();
        if within.is_some_and(|start| indent <= start && !line.trim().is_empty()) {
            within = None;
        }
        if line.trim_start().starts_with("run:") {
            within = Some(indent);
            scripts += 1;
        }
        assert!(within.is_none() || !line.contains("${{"), "in a script: {line}");
    }
    assert_eq!(scripts, 2);
    assert!(action.contains("ARGUMENTS: ${{ inputs.arguments }}"));
}

/// Its steps, as a runner would take them: arguments with signs of the shell are arguments.
#[cfg(unix)]
#[test]
fn the_actions_script_runs_nothing_that_an_input_holds() {
    let action = fs::read_to_string(common::here().join("../action.yml")).unwrap();
    let script = action.split_once("      run: |\n").unwrap().1;
    let folder = package("one", ONE);
    let bin = folder.path().join("runner/cargo-unblock/bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cargo-unblock"), bin.join("cargo-unblock")).unwrap();
    let run = |arguments: &str| -> Run {
        std::process::Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", common::target())
            .env("RUNNER_TEMP", folder.path().join("runner"))
            .env("DIRECTORY", ".")
            .env("FORMAT", "github")
            .env("ARGUMENTS", arguments)
            .output()
            .unwrap()
            .into()
    };
    let lines = run("--lib\n--no-such-option");
    assert_eq!(lines.code, 2, "the second line is lost: {}", lines.stderr);
    let normal = run("--lib --quiet");
    assert_eq!(normal.code, 1, "{}", normal.stderr);
    assert!(normal.stdout.starts_with("::error file=src/lib.rs,line=1,"), "{}", normal.stdout);
    for hostile in
        ["$(touch hacked)", "`touch hacked`", "; touch hacked", "--lib && touch hacked", "\"; touch hacked #"]
    {
        let run = run(hostile);
        assert_eq!(run.code, 2, "{hostile}: {}{}", run.stdout, run.stderr);
        assert!(!folder.path().join("hacked").exists(), "{hostile}");
    }
}
