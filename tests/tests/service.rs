//! Does a generated service pass its own checks, and does it do what its README says?

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::pgbouncer::PgBouncer;
use longpole_tests::postgres::Postgres;
use longpole_tests::process::{PATIENCE, poll, run};
use longpole_tests::service::{Running, ask, build, cargo, start};
use longpole_tests::{check_variables, place, repo, status, target_dir};

/// A service's own tests watch deadlines, so nothing heavy runs beside them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Generates a service, runs its own checks, and returns its program.
fn checked(name: &str, database: &str, example: &str) -> (PathBuf, PathBuf) {
    let answers = generate(NEWEST, name, &place(name)).answer("database", database);
    let service = answers.answer("example", example).done();
    // Without the drill, as it is released; ci/check lints and tests it with everything on.
    run(cargo(&service).args(["clippy", "--locked", "--all-targets", "--", "-D", "warnings"]));
    let check = service.join("ci/check");
    run(Command::new(check).envs(check_variables()));
    let program = build(&service);
    (service, program)
}

#[test]
fn the_default() {
    let _alone = alone();
    let (service, program) = checked("with-examples", "sqlite", "true");
    every_setting_is_in_the_file_with_its_default(&service, &program);

    stores_an_item(start(&program, &[]));
    a_release_with_the_drill_must_be_meant(&service, &program);
    the_status_page_names_every_phase(&service, &[]);
}

/// What makes a release is the absence of debug assertions; the optimizer takes its time and changes nothing here.
fn a_release_with_the_drill_must_be_meant(service: &Path, program: &Path) {
    let name = service.file_name().unwrap().to_str().unwrap();
    let release = format!("profile.dev.package.{name}.debug-assertions=false");
    run(cargo(service).args(["build", "--locked", "--all-features", "--config", &release]));
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
    let is_warning = |line: &serde_json::Value| {
        line["level"] == "WARN"
            && line["message"].as_str().unwrap().contains("this release has the cargo feature `drill`")
    };
    assert!(running.log().iter().any(is_warning), "{:?}", running.log());
    assert_eq!(running.stop().code(), Some(0));
}

/// With the drill built in, which replaces the program.
fn the_status_page_names_every_phase(service: &Path, variables: &[(&str, &str)]) {
    run(cargo(service).args(["build", "--locked", "--features", "drill"]));
    let program = target_dir().join("debug").join(service.file_name().unwrap());
    status::names_every_phase(&program, variables);
}

#[test]
fn on_postgres() {
    let _alone = alone();
    let (service, program) = checked("on-postgres", "postgres", "true");
    every_setting_is_in_the_file_with_its_default(&service, &program);

    let server = Postgres::start(&service);
    stores_an_item(start(&program, &[("APP__DATABASE__URL", &server.url)]));
    behind_a_pooler(&service, &program);
    let load = service.join("ci/load");
    run(Command::new(&load).current_dir(&service).envs(check_variables()));
    the_status_page_names_every_phase(&service, &[("APP__DATABASE__URL", &server.url)]);
}

/// In session mode a pooler is as good as the server; one that loses prepared statements is found out.
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

#[test]
fn a_bare_one_on_postgres() {
    let _alone = alone();
    let (service, program) = checked("bare-on-postgres", "postgres", "false");
    every_setting_is_in_the_file_with_its_default(&service, &program);

    let server = Postgres::start(&service);
    has_no_items(start(&program, &[("APP__DATABASE__URL", &server.url)]));
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
    let (service, program) = checked("bare", "sqlite", "false");
    every_setting_is_in_the_file_with_its_default(&service, &program);

    has_no_items(start(&program, &[]));
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

/// The line of the request with the id `abc` is in the log.
fn is_known_by_its_id(running: &Running, status: u16) {
    let line = poll("the request's line", PATIENCE, || {
        running.log().into_iter().find(|line| line["message"] == "request" && line["request_id"] == "abc")
    });
    assert_eq!(line["status"], status, "{line}");
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

/// What `check` prints when the configuration is `text`; expects every value to come from `origin`.
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
