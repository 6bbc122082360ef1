//! Does `cargo generate` make what it should, with the oldest and the newest release that we admit?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use longpole_tests::generate::{Generate, LEFTOVERS, NEWEST, OLDEST, generate};
use longpole_tests::git::repository;
use longpole_tests::repo;
use longpole_tests::service::cargo;
use longpole_tests::tree::{File, files, first_difference};

type Tree = BTreeMap<String, File>;

/// Generates with both releases, and expects equal trees.
fn both(name: &str, answers: impl Fn(Generate) -> Generate) -> (tempfile::TempDir, Tree) {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of_old = files(&answers(generate(OLDEST, name, old.path())).done());
    let of_new = files(&answers(generate(NEWEST, name, new.path())).done());
    assert_eq!(of_old.keys().collect::<Vec<_>>(), of_new.keys().collect::<Vec<_>>());
    for (name, (content, executable)) in &of_old {
        let difference = first_difference(&of_new[name].0, content);
        assert_eq!(difference, None, "{name} differs between {OLDEST} (should be) and {NEWEST} (is)");
        assert_eq!(of_new[name].1, *executable, "{name} is executable");
    }
    (new, of_new)
}

fn text<'a>(tree: &'a Tree, name: &str) -> &'a str {
    let (content, _) = tree.get(name).unwrap_or_else(|| panic!("{name} is missing: {:?}", tree.keys()));
    std::str::from_utf8(content).unwrap()
}

fn toml_of(tree: &Tree, name: &str) -> toml::Table {
    text(tree, name).parse().unwrap()
}

/// The files that are rendered.
fn rendered() -> Vec<String> {
    let config = fs::read_to_string(repo().join("cargo-generate.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let include = config["template"]["include"].as_array().unwrap();
    // Without the `/` at its beginning, a name would mean files of the engine, too.
    include.iter().map(|name| name.as_str().unwrap().strip_prefix('/').unwrap().to_owned()).collect()
}

/// Checks what holds with any answers.
fn is_sound(name: &str, root: &Path, tree: &Tree) {
    for (path, (content, _)) in tree {
        assert!(!path.ends_with(".liquid"), "{path} was not rendered");
        let content = String::from_utf8_lossy(content);
        assert!(!content.contains("service-template"), "{path} has the template's own name");
        assert!(!LEFTOVERS.iter().any(|dir| Path::new(path).starts_with(dir)), "{path} was copied");
        if path.starts_with("engine/") {
            let original = fs::read_to_string(repo().join("template").join(path)).unwrap();
            assert!(content == original, "{path} is not what it is in the template");
        }
    }
    for path in rendered().iter().filter(|path| tree.contains_key(*path)) {
        let content = text(tree, path);
        assert!(!content.contains("{{") && !content.contains("{%"), "{path} was not rendered whole");
    }
    let manifest = toml_of(tree, "Cargo.toml");
    assert_eq!(manifest["package"]["name"].as_str(), Some(name));
    is_one_line(text(tree, "Cargo.toml"));
    is_small(tree);
    uses_its_dependencies(tree);
    assert!(tree["ci/check"].1, "ci/check is not executable");

    is_locked(&root.join(name));
}

/// Upgrades look for the dependency on the engine in one line.
fn is_one_line(manifest: &str) {
    let lines: Vec<_> = manifest.lines().filter(|line| line.starts_with("longpole = ")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    assert!(
        line.starts_with("longpole = { ") && line.contains("features = [") && line.ends_with(" }"),
        "{line}"
    );
}

/// An owner can read the owner's part of the service in one go.
fn is_small(tree: &Tree) {
    let lines = |folder: &str| -> usize {
        tree.keys().filter(|path| path.starts_with(folder)).map(|path| text(tree, path).lines().count()).sum()
    };
    for (what, most) in [("src/", 700), ("src/main.rs", 30), ("tests/", 400)] {
        assert!(lines(what) <= most, "{what} has {} lines, and {most} at most", lines(what));
    }
}

fn uses_its_dependencies(tree: &Tree) {
    let is_code = |path: &&String| path.starts_with("src/") || path.starts_with("tests/");
    let code: String = tree.keys().filter(is_code).map(|path| text(tree, path)).collect();
    for dependency in toml_of(tree, "Cargo.toml")["dependencies"].as_table().unwrap().keys() {
        assert!(code.contains(&dependency.replace('-', "_")), "nothing uses the dependency {dependency}");
    }
}

/// The lock file lists the crates that are used, and no others.
fn is_locked(service: &Path) {
    let metadata = cargo(service).args(["metadata", "--locked", "--format-version", "1"]).output().unwrap();
    assert!(metadata.status.success(), "Cargo.lock: {}", String::from_utf8_lossy(&metadata.stderr));
}

#[test]
fn every_lock_file_holds_what_is_used() {
    let root = longpole_tests::place("locks");
    for engine in ["vendored", "path", "git"] {
        for database in ["sqlite", "postgres", "none"] {
            for example in ["true", "false"] {
                let name = format!("{engine}-{database}-{example}");
                let it =
                    generate(NEWEST, &name, &root).answer("database", database).answer("example", example);
                is_locked(&from(it, engine).done());
            }
        }
    }
}

/// Generates a service with the engine from there, as seen from a folder of [`place`](longpole_tests::place).
fn from(it: Generate, engine: &str) -> Generate {
    match engine {
        "vendored" => it,
        "path" => it.answer("engine", "dependency").answer("template_repo", "../../../.."),
        _ => it
            .answer("engine", "dependency")
            .answer("template_repo", &repository().url)
            .answer("template_revision", &repository().revision),
    }
}

#[test]
fn the_defaults_keep_the_examples() {
    let (root, tree) = both("svc", |it| it);
    is_sound("svc", root.path(), &tree);
    for path in ["src/app/items/mod.rs", "migrations/0001_items.sql", "tests/items.rs", "tests/examples.rs"] {
        assert!(tree.contains_key(path), "{path} is missing");
    }
    let record = toml_of(&tree, ".template.toml");
    assert_eq!(record["longpole"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(record["longpole"]["repo"].as_str(), Some("../longpole"));
    assert_eq!(record["longpole"]["revision"].as_str(), Some("unknown"));
    assert_eq!(record["answers"]["project-name"].as_str(), Some("svc"));
    assert_eq!(record["answers"]["database"].as_str(), Some("sqlite"));
    assert_eq!(record["answers"]["engine"].as_str(), Some("vendored"));
    assert_eq!(record["answers"]["example"].as_bool(), Some(true));
}

#[test]
fn every_answer_is_recorded() {
    let url = "https://git.example:8443/~me/long_pole.git";
    let (root, tree) = both("svc", |it| {
        it.answer("database", "sqlite")
            .answer("engine", "vendored")
            .answer("example", "false")
            .answer("template_repo", url)
            .answer("template_revision", "0123abcd")
    });
    is_sound("svc", root.path(), &tree);
    let record = toml_of(&tree, ".template.toml");
    assert_eq!(record["longpole"]["repo"].as_str(), Some(url));
    assert_eq!(record["longpole"]["revision"].as_str(), Some("0123abcd"));
    let answers: Vec<_> = record["answers"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(answers, ["database", "engine", "example", "project-name", "template_repo"]);
    assert_eq!(record["answers"]["example"].as_bool(), Some(false));
    assert_eq!(record["answers"]["template_repo"].as_str(), Some(url));
}

#[test]
fn without_examples_nothing_of_them_is_left() {
    let (root, tree) = both("svc", |it| it.answer("example", "false"));
    is_sound("svc", root.path(), &tree);
    let app: Vec<_> = tree.keys().filter(|path| path.starts_with("src/app/")).collect();
    assert_eq!(app, ["src/app/mod.rs", "src/app/settings.rs"]);
    for path in ["tests/items.rs", "tests/examples.rs"] {
        assert!(!tree.contains_key(path), "{path} is left");
    }
    assert!(!root.path().join("svc/migrations").exists());
}

/// Outside of the engine, nothing is left of the database that was not chosen, and that database is not built.
#[test]
fn one_database_leaves_no_trace_of_the_other() {
    for (chosen, others, drivers) in [
        ("sqlite", &["postgres"][..], &["sqlx-postgres v"][..]),
        ("postgres", &["sqlite"], &["libsqlite3-sys v"]),
        ("none", &["sqlite", "postgres", "sqlx"], &["sqlx-postgres v", "libsqlite3-sys v", "sqlx v"]),
    ] {
        for example in ["true", "false"] {
            let (root, tree) = both("svc", |it| it.answer("database", chosen).answer("example", example));
            is_sound("svc", root.path(), &tree);
            let is_owned = |path: &str| ["src/", "config/", "tests/"].iter().any(|dir| path.starts_with(dir));
            for (path, (content, _)) in
                tree.iter().filter(|(path, _)| is_owned(path) || *path == "Cargo.toml")
            {
                let content = String::from_utf8_lossy(content).to_lowercase();
                for other in others {
                    assert!(
                        !path.contains(other) && !content.contains(other),
                        "{path}: {other} with {chosen}"
                    );
                }
            }
            let is_executable = tree.get("ci/postgres").map(|(_, executable)| *executable);
            assert_eq!(is_executable, (chosen == "postgres").then_some(true));
            assert_eq!(tree.contains_key("migrations/0001_items.sql"), chosen != "none" && example == "true");
            let built =
                cargo(&root.path().join("svc")).args(["tree", "--locked", "--prefix", "none"]).output();
            let built = String::from_utf8(built.unwrap().stdout).unwrap();
            assert!(built.contains("longpole v"), "{built}");
            for driver in drivers {
                assert!(!built.contains(driver), "{driver} is built with {chosen}");
            }
            assert_eq!(toml_of(&tree, ".template.toml")["answers"]["database"].as_str(), Some(chosen));
        }
    }
}

/// A service without a database has the examples that need no database.
#[test]
fn a_gateway_keeps_the_examples_that_need_no_database() {
    let (_root, tree) = both("svc", |it| it.answer("database", "none"));
    let app: Vec<_> = tree.keys().filter_map(|path| path.strip_prefix("src/app/")).collect();
    assert_eq!(app, ["digest.rs", "hello.rs", "mod.rs", "quote.rs", "settings.rs"]);
    assert!(!text(&tree, "src/main.rs").contains("migrations"));
    assert!(!text(&tree, "config/service.toml").contains("database"));
}

/// The engine stays in the folder of Longpole.
#[test]
fn a_dependency_is_named_by_path_or_by_url_and_revision() {
    let revision = "0123456789abcdef0123456789abcdef01234567";
    for (repo, longpole, testing) in [
        ("../lp", r#"path = "../lp/template/engine""#, r#"path = "../lp/template/engine/testing""#),
        (
            "https://git.example/longpole",
            r#"git = "https://git.example/longpole", rev = "REVISION""#,
            r#"git = "https://git.example/longpole", rev = "REVISION""#,
        ),
    ] {
        let (_root, tree) = both("svc", |it| {
            it.answer("engine", "dependency")
                .answer("database", "postgres")
                .answer("template_repo", repo)
                .answer("template_revision", revision)
        });
        assert!(!tree.keys().any(|path| path.starts_with("engine/")), "{:?}", tree.keys());
        let manifest = text(&tree, "Cargo.toml");
        is_one_line(manifest);
        for (name, place) in [("longpole", longpole), ("longpole-testing", testing)] {
            let place = place.replace("REVISION", revision);
            let line = format!("\n{name} = {{ {place}, features = [\"postgres\"] }}\n");
            assert!(manifest.contains(&line), "no {line} in {manifest}");
        }
        assert!(manifest.contains("\n[workspace]\n\n"), "{manifest}");
        let record = toml_of(&tree, ".template.toml");
        assert_eq!(record["answers"]["engine"].as_str(), Some("dependency"));
        assert_eq!(record["longpole"]["revision"].as_str(), Some(revision));
    }
}

#[test]
fn names_with_dashes_underscores_and_digits() {
    for name in ["my-service", "my_service", "svc2", "zz-9_top"] {
        // cargo-generate changes a name of mixed spelling, unless it is forced to take the name as it is.
        let forced = |it: Generate| it.flag("--force");
        let (root, tree) = both(name, forced);
        is_sound(name, root.path(), &tree);
    }
}

/// Both releases refuse the answers, and the message names what was wrong.
fn is_refused(answers: &[(&str, &str)], reason: &str) {
    for version in [OLDEST, NEWEST] {
        let dir = tempfile::tempdir().unwrap();
        let command = generate(version, "svc", dir.path());
        let output = answers.iter().fold(command, |it, (key, value)| it.answer(key, value)).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{version} took {answers:?}");
        assert!(stderr.contains(reason), "{version} does not say `{reason}`: {stderr}");
        // cargo-generate leaves an empty folder behind, and ci/try removes it.
        assert_eq!(files(dir.path()), Tree::new(), "{version} left something behind");
    }
}

#[test]
fn answers_that_are_none_are_refused() {
    is_refused(&[("database", "oracle")], "\"oracle\" is not a valid value for database");
    is_refused(&[("engine", "copied")], "\"copied\" is not a valid value for engine");
    is_refused(&[("example", "maybe")], "provided string was not `true` or `false`");
    for value in ["../longpole; rm x", "$(x)", "a b", "a\"b", "a'b", "{{x}}", ""] {
        is_refused(&[("template_repo", value)], "is not a valid value for template_repo");
    }
}

/// The lock file names the revision, so the service cannot be built without that revision.
#[test]
fn a_dependency_by_url_needs_a_revision_and_says_where_to_find_it() {
    let by_url = [("engine", "dependency"), ("template_repo", "https://git.example/longpole")];
    is_refused(&by_url, "template_revision (`git ls-remote URL HEAD` prints it)");
    is_refused(&[by_url[0], by_url[1], ("template_revision", "")], "`git ls-remote URL HEAD`");
    for wrong in ["unknown", "HEAD", "v1.0", "0123abcd", "0123456789ABCDEF0123456789ABCDEF01234567"] {
        let answers = [by_url[0], by_url[1], ("template_revision", wrong)];
        is_refused(&answers, &format!("\"{wrong}\" is not a valid value for template_revision"));
    }
}

#[test]
fn a_workspace_around_it_is_left_alone() {
    for version in [OLDEST, NEWEST] {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("Cargo.toml");
        fs::write(&manifest, "[workspace]\nmembers = []\n").unwrap();
        generate(version, "svc", dir.path()).done();
        assert_eq!(fs::read_to_string(manifest).unwrap(), "[workspace]\nmembers = []\n");
    }
}

/// Inside of another workspace, our commands change nothing of that workspace, and take nothing from it.
#[test]
fn a_workspace_above_and_the_service_leave_each_other_alone() {
    let root = tempfile::tempdir().unwrap();
    let (above, member) = (root.path().join("Cargo.toml"), root.path().join("crates/member"));
    fs::create_dir_all(member.join("src")).unwrap();
    fs::write(member.join("src/lib.rs"), "").unwrap();
    fs::write(member.join("Cargo.toml"), "[package]\nname = \"member\"\nedition = \"2024\"\n").unwrap();
    let metadata = |folder: &Path, locked: &[&str]| {
        let output =
            cargo(folder).args(["metadata", "--no-deps", "--format-version", "1"]).args(locked).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let listed = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/member\"]\n";
    fs::write(&above, listed).unwrap();

    let (listing, in_pattern) = (root.path(), root.path().join("crates"));
    let service = generate(NEWEST, "svc", listing).done();
    let (works, said) = metadata(&service, &["--locked"]);
    assert!(works, "{said}");
    assert_eq!(fs::read_to_string(&above).unwrap(), listed);

    // If a pattern of the workspace fits the service, the service can do nothing. docs/upgrade.md has the error and its
    // cure.
    generate(NEWEST, "svc", &in_pattern).done();
    let pattern = listed.replace("crates/member", "crates/*");
    fs::write(&above, &pattern).unwrap();
    let (works, said) = metadata(&member, &[]);
    assert!(!works && said.contains("multiple workspace roots found in the same workspace"), "{said}");
    fs::write(&above, format!("{pattern}exclude = [\"crates/svc\"]\n")).unwrap();
    for folder in [&member, &in_pattern.join("svc")] {
        let (works, said) = metadata(folder, &[]);
        assert!(works, "{said}");
    }
}

#[test]
fn every_command_that_we_show_keeps_out_of_a_workspace_above() {
    let repo = repo();
    let files = ["README.md", "docs/upgrade.md", "docs/postgres.md", "ci/try", "ci/soak"];
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(repo.join(file)).unwrap().replace("\\\n", " ");
        for line in text.lines().filter(|line| line.contains("generate") && line.contains(" --name ")) {
            assert!(line.contains("--no-workspace"), "{file}: {line}");
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} commands were found");
}

#[test]
fn text_keeps_its_line_ends_in_repository_and_service() {
    let (_root, tree) = both("svc", |it| it);
    assert!(text(&tree, ".gitattributes").contains("* text=auto eol=lf"));
    let ours = fs::read_to_string(repo().join(".gitattributes")).unwrap();
    assert!(ours.contains("* text=auto eol=lf"));
}
