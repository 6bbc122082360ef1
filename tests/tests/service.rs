//! Does a generated service pass its own checks, and does it do what its README says?

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::git::{Repository, repository};
use longpole_tests::pgbouncer::PgBouncer;
use longpole_tests::postgres::Postgres;
use longpole_tests::process::{PATIENCE, poll, run};
use longpole_tests::service::{Running, ask, build, cargo, start};
use longpole_tests::{check_variables, place, repo, status, target_dir};
use serde_json::Value;

/// A service's own tests watch deadlines, so nothing heavy runs beside them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Generates a service, runs its own checks, and returns its folder and its program.
fn checked(name: &str, answers: &[(&str, &str)]) -> (PathBuf, PathBuf) {
    let it = generate(NEWEST, name, &place(name));
    let service = answers.iter().fold(it, |it, (key, value)| it.answer(key, value)).done();
    run(Command::new(service.join("ci/check")).envs(check_variables()));
    let program = build(&service);
    every_setting_is_in_the_file_with_its_default(&service, &program);
    (service, program)
}

#[test]
fn the_default() {
    let _alone = alone();
    let (service, program) = checked("with-examples", &[]);

    stores_an_item(start(&program, &[]));
    the_engine_is_nobody_elses_to_lint(&service);
    a_release_with_the_drill_must_be_meant(&service, &program);
    the_status_page_names_every_phase(&service, "sqlite", &[]);
}

/// Neither the format of the engine nor a newer clippy can turn an owner's check red.
fn the_engine_is_nobody_elses_to_lint(service: &Path) {
    for path in ["engine/src/lib.rs", "engine/testing/src/lib.rs"] {
        let text = fs::read_to_string(service.join(path)).unwrap();
        let ugly = "pub fn  ugly(it: &String) -> usize { return it.len( ) }\n";
        fs::write(service.join(path), format!("{text}\n#[doc(hidden)]\n{ugly}")).unwrap();
    }
    run(Command::new(service.join("ci/check")).envs(check_variables()));
}

/// A build without debug assertions counts as a release. The optimizer is left out: it takes long and changes nothing
/// here.
fn a_release_with_the_drill_must_be_meant(service: &Path, program: &Path) {
    let release = "profile.dev.package.longpole.debug-assertions=false";
    run(cargo(service).args(["build", "--locked", "--features", "drill", "--config", release]));
    let ended = |arguments: &[&str], meant: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        let ended =
            command.args(arguments).current_dir(dir.path()).env("LONGPOLE_DRILL", meant).output().unwrap();
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };

    for arguments in [&[][..], &["check"], &["migrate"]] {
        let (code, said) = ended(arguments, "yes");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.starts_with("error: this release has the cargo feature `drill`"), "{said}");
        assert!(said.contains("set LONGPOLE_DRILL=1"), "{said}");
    }
    let (code, said) = ended(&["check"], "1");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\n  advice   this release has the cargo feature `drill`"), "{said}");
    assert!(said.contains("\nwarning: this release has the cargo feature `drill`"), "{said}");
    let running = start(program, &[("LONGPOLE_DRILL", "1")]);
    let is_warning = |line: &Value| {
        line["level"] == "WARN"
            && line["message"].as_str().unwrap().contains("this release has the cargo feature `drill`")
    };
    assert!(running.log().iter().any(is_warning), "{:?}", running.log());
    assert_eq!(running.stop().code(), Some(0));
}

/// Builds the service with the drill. This replaces the program.
fn the_status_page_names_every_phase(service: &Path, database: &str, variables: &[(&str, &str)]) {
    run(cargo(service).args(["build", "--locked", "--features", "drill"]));
    let program = target_dir().join("debug").join(service.file_name().unwrap());
    status::names_every_phase(&program, database, variables);
}

#[test]
fn on_postgres() {
    let _alone = alone();
    let (service, program) = checked("on-postgres", &[("database", "postgres")]);

    let server = Postgres::start(&service);
    stores_an_item(start(&program, &[("APP__DATABASE__URL", &server.url)]));
    behind_a_pooler(&service, &program);
    the_status_page_names_every_phase(&service, "postgres", &[("APP__DATABASE__URL", &server.url)]);
}

#[test]
fn with_the_engine_by_path() {
    let _alone = alone();
    // The path is seen from the service, which is in a folder of `place`.
    let answers = [("database", "postgres"), ("engine", "dependency"), ("template_repo", "../../../..")];
    let (service, program) = checked("by-path", &answers);

    let server = Postgres::start(&service);
    stores_an_item(start(&program, &[("APP__DATABASE__URL", &server.url)]));
}

#[test]
fn with_the_engine_by_url_and_revision() {
    let _alone = alone();
    let Repository { url, revision } = repository();
    let answers = [("engine", "dependency"), ("template_repo", url), ("template_revision", revision)];
    let (_, program) = checked("by-url", &answers);

    stores_an_item(start(&program, &[]));
}

/// A service without a database, which calls other services.
#[test]
fn a_gateway() {
    let _alone = alone();
    let (service, program) = checked("gateway", &[("database", "none")]);

    let other = start(&program, &[]);
    let url = format!("http://{}/hello", other.public);
    let running = start(&program, &[("APP__APP__QUOTE_URL", &url)]);
    let quote = ask("GET", &format!("http://{}/quote", running.public), &[("x-request-id", "abc")], "");
    assert_eq!(quote.body(), r#"{"said":{"message":"hello"}}"#, "{quote:?}");
    let line = is_known_by_its_id(&running, 200);
    assert!(line["phases"]["http_upstream"].as_f64() > Some(0.0), "{line}");
    says_what_prometheus_accepts(&running);
    let metrics = ask("GET", &format!("http://{}/metrics", running.admin), &[], "").into_body();
    assert!(!metrics.contains("\ndb_"), "{metrics}");
    assert_eq!(running.stop().code(), Some(0));

    let said = Command::new(&program).arg("--help").output().unwrap().stdout;
    assert!(!String::from_utf8(said).unwrap().contains("migrate"));
    the_status_page_names_every_phase(&service, "none", &[]);
}

/// A pooler in session mode is as good as the server. A pooler that loses prepared statements is noticed.
fn behind_a_pooler(service: &Path, program: &Path) {
    let server = Postgres::start(service);
    let sessions = PgBouncer::start(&server.url, "session");
    stores_an_item(start(program, &[("APP__DATABASE__URL", &sessions.url)]));

    let transactions = PgBouncer::start(&server.url, "transaction");
    let dir = tempfile::tempdir().unwrap();
    for (arguments, code) in [(&["check"][..], 0), (&[], 1), (&["migrate"], 1)] {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&dir).env("APP__DATABASE__URL", &transactions.url);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        for words in ["a pooler in transaction mode", "loses prepared statements", "session mode", "1.21"] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
    }
    fs::copy(repo().join("tests/overlay/pooler.rs"), service.join("tests/pooler.rs")).unwrap();
    run(cargo(service).args(["test", "--locked", "--test", "pooler"]).env("POOLER_URL", &transactions.url));
}

fn stores_an_item(running: Running) {
    let url = format!("http://{}/items", running.public);
    let headers = [("content-type", "application/json"), ("x-request-id", "abc")];
    let answer = ask("POST", &url, &headers, r#"{"name": "first"}"#);
    assert_eq!(answer.status(), 201, "{answer:?}");
    assert_eq!(answer.headers()["location"], "/items/1");
    is_known_by_its_id(&running, 201);
    says_what_prometheus_accepts(&running);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn a_bare_one() {
    let _alone = alone();
    let (service, program) = checked("bare", &[("example", "false")]);

    has_no_items(start(&program, &[]));
    answers_once_it_is_written_as_the_comment_says(&service);
}

#[test]
fn a_bare_one_without_a_database() {
    let _alone = alone();
    let answers = generate(NEWEST, "bare-gateway", &place("bare-gateway"));
    let service = answers.answer("database", "none").answer("example", "false").done();

    answers_once_it_is_written_as_the_comment_says(&service);
}

/// The comment of `start` shows how a route is added.
fn answers_once_it_is_written_as_the_comment_says(service: &Path) {
    let app = service.join("src/app/mod.rs");
    let text = fs::read_to_string(&app).unwrap();
    let shown = text.split_once("/// ```ignore\n").unwrap().1.split_once("/// ```\n").unwrap().0;
    let module: String = shown
        .lines()
        .map(|line| line.strip_prefix("///").unwrap())
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    fs::write(service.join("src/app/answer.rs"), module).unwrap();
    assert!(text.contains("`Router::new().merge(answer::routes()).with_state(app)`"));
    let text = text
        .replace(
            "    Router::new().with_state(app)\n",
            "    Router::new().merge(answer::routes()).with_state(app)\n",
        )
        .replace("\nmod settings;", "\nmod answer;\nmod settings;");
    fs::write(&app, text).unwrap();
    run(Command::new(service.join("ci/check")).envs(check_variables()));
    let running = start(&build(service), &[]);
    let answer = ask("GET", &format!("http://{}/answer", running.public), &[], "");
    assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "42"));
}

fn has_no_items(running: Running) {
    let url = format!("http://{}/items", running.public);
    let answer = ask("GET", &url, &[("x-request-id", "abc")], "");
    assert_eq!(answer.status(), 404, "{answer:?}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    is_known_by_its_id(&running, 404);
    says_what_prometheus_accepts(&running);
    assert_eq!(running.stop().code(), Some(0));
}

/// Checks that the log has the line of the request with the id `abc`.
fn is_known_by_its_id(running: &Running, status: u16) -> Value {
    let line = poll("the request's line", PATIENCE, || {
        running.log().into_iter().find(|line| line["message"] == "request" && line["request_id"] == "abc")
    });
    assert_eq!(line["status"], status, "{line}");
    line
}

fn says_what_prometheus_accepts(running: &Running) {
    let admin = |path: &str| ask("GET", &format!("http://{}{path}", running.admin), &[], "");
    assert_eq!(admin("/livez").status(), 200);
    assert_eq!(admin("/readyz").status(), 200);
    let metrics = admin("/metrics").into_body();
    assert!(metrics.contains("http_request_duration_seconds_count{"), "{metrics}");

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}. It is in the Debian package `prometheus`"));
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    let complaints = [verdict.stdout, verdict.stderr].concat();
    let complaints = String::from_utf8_lossy(&complaints);
    assert!(verdict.status.success() && complaints.is_empty(), "{}: {complaints}", verdict.status);
}

/// Holds `config/service.toml` against what `check` prints, with the file as it is and with every key
/// in force.
fn every_setting_is_in_the_file_with_its_default(service: &Path, program: &Path) {
    let text = fs::read_to_string(service.join("config/service.toml")).unwrap();
    let defaults = settings(program, &text, "# default");

    // A `#` that is followed by a letter comments out a key, one that is followed by a space explains it.
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    let live: String = text
        .lines()
        .map(|line| if is_key(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") })
        .collect();
    let of_file = settings(program, &live, "# config/service.toml");

    assert_eq!(of_file.keys().collect::<Vec<_>>(), defaults.keys().collect::<Vec<_>>());
    // Their comments say so, and show what they are for four cores.
    let of_the_machine = [
        "server.worker_threads",
        "admission.max_in_flight",
        "database.max_connections",
        "offload.threads",
        "offload.max_queue",
    ];
    for (key, default) in defaults {
        if !of_the_machine.contains(&key.as_str()) {
            assert_eq!(of_file[&key], default, "config/service.toml: the default of {key}");
        }
    }
}

/// Returns what `check` prints with the configuration `text`. Expects that every value comes from `origin`.
fn settings(program: &Path, text: &str, origin: &str) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    fs::write(dir.path().join("config/service.toml"), text).unwrap();
    let output = Command::new(program).arg("check").current_dir(&dir).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "check: {}: {report}{stderr}", output.status);
    report
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (key, rest) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
            let value = rest.strip_suffix(origin).unwrap_or_else(|| panic!("not `{origin}`: {line}"));
            // "8.0 MiB" is what it makes of "8MiB".
            (key.to_owned(), value.replace(".0 ", "").replace(' ', ""))
        })
        .collect()
}
