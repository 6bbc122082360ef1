//! Can a service that exists become one of Longpole's with few changes, and does it go on as before? `existing/before` is a
//! service as people write them, and `existing/after` is the same service after the steps of `docs/adopt.md`.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use longpole_tests::generate::template;
use longpole_tests::postgres::Postgres;
use longpole_tests::process::{PATIENCE, Process, poll, run};
use longpole_tests::service::{Running, ask, cargo, start};
use longpole_tests::{repo, target_dir, tree};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// The steps of `docs/adopt.md` may add and remove so many lines, all in all.
const CHANGED_LINES: usize = 40;

/// Method, path, headers and body.
type Asked = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const JSON: (&str, &str) = ("content-type", "application/json");
const REQUESTS: &[Asked] = &[
    ("GET", "/api/greeting", &[], ""),
    ("HEAD", "/api/greeting", &[], ""),
    ("POST", "/api/bookmarks", &[JSON], r#"{"url": "https://a.example", "title": "A"}"#),
    ("POST", "/api/bookmarks", &[JSON], r#"{"url": "https://b.example", "title": "B"}"#),
    ("POST", "/api/bookmarks", &[JSON], r#"{"url": "https://b.example", "title": "again"}"#),
    ("POST", "/api/bookmarks", &[JSON], r#"{"url": "#),
    ("POST", "/api/bookmarks", &[JSON], r#"{"url": 1, "title": "B"}"#),
    ("POST", "/api/bookmarks", &[("content-type", "text/plain")], "{}"),
    ("GET", "/api/bookmarks", &[("origin", "https://c.example")], ""),
    ("GET", "/api/bookmarks?after=1", &[], ""),
    ("GET", "/api/bookmarks?after=x", &[], ""),
    ("GET", "/api/bookmarks/1", &[], ""),
    ("GET", "/api/bookmarks/1", &[], ""),
    ("GET", "/api/bookmarks/99", &[], ""),
    ("GET", "/api/bookmarks/x", &[], ""),
    ("PUT", "/api/bookmarks/1", &[], ""),
    ("DELETE", "/api/bookmarks/1", &[], ""),
    ("DELETE", "/api/bookmarks/1", &[], ""),
    (
        "OPTIONS",
        "/api/bookmarks",
        &[("origin", "https://c.example"), ("access-control-request-method", "POST")],
        "",
    ),
    ("GET", "/api/broken", &[], ""),
    ("GET", "/api/nowhere", &[], ""),
    ("GET", "/nowhere", &[], ""),
    ("GET", "/live", &[], ""),
];

/// Both programs, before and after. They are built once, and not while one of them runs.
fn programs() -> [&'static Path; 2] {
    static BUILT: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
        ["before", "after"].map(|name| {
            let folder = repo().join("tests/existing").join(name);
            run(cargo(&folder).args(["build", "--locked"]));
            let program = target_dir().join(name); // both have the name `bookmarks`
            fs::copy(target_dir().join("debug/bookmarks"), &program).unwrap();
            program
        })
    });
    BUILT.each_ref().map(PathBuf::as_path)
}

/// The service before it was adopted. It says on stdout where it listens.
struct Before {
    _process: Process,
    public: String,
    _dir: TempDir,
}

fn start_before(program: &Path, database: &str) -> Before {
    let dir = tempfile::tempdir().unwrap();
    let stdout = dir.path().join("stdout");
    let mut command = Command::new(program);
    command.current_dir(&dir).stdin(Stdio::null()).stdout(File::create(&stdout).unwrap());
    command.env("ADDR", "127.0.0.1:0").env("DATABASE_URL", database).env("NO_COLOR", "1");
    let mut process = Process::start(command.env("RUST_LOG", "info"));
    let public = poll("listening", PATIENCE, || {
        assert_eq!(process.has_ended(), None);
        let text = fs::read_to_string(&stdout).unwrap();
        let (_, rest) = text.split_once("listening addr=")?;
        Some(rest.split_once('\n')?.0.trim().to_owned())
    });
    Before { _process: process, public, _dir: dir }
}

fn start_after(program: &Path, database: &str, variables: &[(&str, &str)]) -> Running {
    start(program, &[&[("DATABASE_URL", database)], variables].concat())
}

#[test]
fn an_adopted_service_answers_as_before_and_says_what_it_waited_for() {
    let [before, after] = programs();
    let servers = [(); 2].map(|()| Postgres::start(&template().join("template")));
    let old = start_before(before, &servers[0].url);
    let new = start_after(after, &servers[1].url, &[]);

    let mut ids = Vec::new();
    for &(method, path, headers, body) in REQUESTS {
        let was = ask(method, &format!("http://{}{path}", old.public), headers, body);
        let id = format!("request-{}", ids.len());
        let headers = [headers, &[("x-request-id", &*id)]].concat();
        let is = ask(method, &format!("http://{}{path}", new.public), &headers, body);
        ids.push((id, path));
        assert_eq!(is.status(), was.status(), "{method} {path}: {was:?} {is:?}");
        assert_eq!(is.body(), was.body(), "{method} {path}");
        for (name, value) in was.headers().iter().filter(|(name, _)| *name != "date") {
            let values: Vec<_> = is.headers().get_all(name).iter().collect();
            assert!(values.contains(&value), "{method} {path}: {name} is {values:?} and was {value:?}");
        }
    }

    let lines: Vec<_> = ids
        .iter()
        .map(|(id, path)| {
            (line(&new, |line| line["message"] == "request" && line["request_id"] == id.as_str()), *path)
        })
        .collect();
    let asked = |line: &Value| line["phases"]["db_query"].as_f64() > Some(0.0);
    assert!(lines.iter().all(|(line, path)| path.starts_with("/api/b") || !asked(line)), "{lines:?}");
    the_database_is_named_when_it_is_slow(&new, &servers[1]);
    line_of_its_own_layers_and_lines(&new);
    assert_eq!(new.stop().code(), Some(0));
}

/// A near database often answers before the handler's poll has ended. So the database is made to wait: another client holds
/// the table for less than `database.lock_timeout`.
fn the_database_is_named_when_it_is_slow(new: &Running, server: &Postgres) {
    let psql = |statement: &str| {
        let mut command = Command::new("psql");
        command.args(["-XAtc", statement, &server.url]);
        command
    };
    let hold = "BEGIN; LOCK TABLE bookmarks IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.5); COMMIT";
    let mut holder = Process::start(psql(hold).stdout(Stdio::null()));
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'bookmarks'::regclass AND mode = 'AccessExclusiveLock'";
    poll("the lock", PATIENCE, || (psql(held).output().unwrap().stdout == b"1\n").then_some(()));

    let answer = ask("GET", &format!("http://{}/api/bookmarks", new.public), &[("x-request-id", "slow")], "");

    assert_eq!(answer.status(), 200);
    let line = line(new, |line| line["message"] == "request" && line["request_id"] == "slow");
    assert_eq!(
        (&line["route"], &line["long_pole"]),
        (&"/api/bookmarks".into(), &"db_query".into()),
        "{line}"
    );
    assert!(holder.end().success());
}

/// What the owner's code and crates log is in the log, too.
fn line_of_its_own_layers_and_lines(new: &Running) {
    line(new, |line| line["message"] == "database" && line["request_id"].is_string());
    line(new, |line| line["message"] == "old bookmarks" && line["deleted"] == 0);
}

fn line(running: &Running, wanted: impl Fn(&Value) -> bool) -> Value {
    poll("a line of the log", PATIENCE, || running.log().into_iter().find(&wanted))
}

fn connect(public: &str, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (socket, answer) = tungstenite::client(format!("ws://{public}{path}"), stream).unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

fn echoes(socket: &mut WebSocket<TcpStream>) {
    socket.send(Message::text("hello")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("hello"));
}

fn tells(socket: &mut WebSocket<TcpStream>, public: &str, url: &str) {
    let body = json!({"url": url, "title": "told"}).to_string();
    assert_eq!(ask("POST", &format!("http://{public}/api/bookmarks"), &[JSON], &body).status(), 201);
    assert_eq!(socket.read().unwrap(), Message::text(url));
}

#[test]
fn its_websockets_work_before_and_after_and_through_the_shutdown() {
    let [before, after] = programs();
    let servers = [(); 2].map(|()| Postgres::start(&template().join("template")));
    let old = start_before(before, &servers[0].url);
    tells(&mut connect(&old.public, "/live"), &old.public, "https://before.example");
    echoes(&mut connect(&old.public, "/echo"));

    // The handler of `/live` listens to the shutdown.
    let mut new = start_after(after, &servers[1].url, &[]);
    let mut live = connect(&new.public, "/live");
    tells(&mut live, &new.public, "https://after.example");
    let mut echo = connect(&new.public, "/echo");
    echoes(&mut echo);
    echo.close(None).unwrap();
    let ended = |line: &Value| line["message"] == "upgraded connection ended" && line["route"] == "/echo";
    let ended = line(&new, ended);
    assert!(ended["duration_ms"].as_f64() > Some(0.0), "{ended}");
    new.terminate();
    assert!(live.read().unwrap().is_close(), "the service says goodbye");
    drop(live);
    assert_eq!(new.wait().code(), Some(0));

    // The handler of `/echo` does not.
    let mut new = start_after(after, &servers[1].url, &[("APP__SHUTDOWN__GRACE", "6s")]);
    let mut echo = connect(&new.public, "/echo");
    echoes(&mut echo);
    new.terminate();
    line(&new, |line| line["message"] == "shutdown: no new connections");
    echoes(&mut echo); // until the grace is over
    assert_eq!(new.wait().code(), Some(3));
    assert!(echo.read().is_err());
    let cut = "shutdown: upgraded connection cut off at the deadline";
    let cut = line(&new, |line| line["message"] == cut && line["route"] == "/echo");
    assert!(cut["duration_ms"].as_f64() > Some(1000.0), "{cut}");
}

#[test]
fn its_own_variables_are_its_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = Command::new(programs()[1]);
    check.arg("check").current_dir(&dir).env("ADDR", "127.0.0.1:7070");
    let output = check.env("DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:1/nothing").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let origin = "\"  # Service::set_default";
    assert!(said.contains(&format!("server.addr = \"127.0.0.1:7070{origin}\n")), "{said}");
    assert!(
        said.contains(&format!("database.url = \"postgres://***@127.0.0.1:1/nothing{origin}\n")),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn few_lines_change() {
    let [before, after] = ["before", "after"].map(|name| {
        let mut files = tree::files(&repo().join("tests/existing").join(name));
        files.retain(|path, _| path != "Cargo.lock" && !path.starts_with("target/"));
        files
    });
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed: usize = before.iter().map(|(path, (old, _))| changed_lines(old, &after[path].0)).sum();
    println!("{changed} lines were added or removed");
    assert!((10..=CHANGED_LINES).contains(&changed), "{changed} lines were added or removed");
}

/// How many lines have to be removed from `old` and added to make `new` of it.
fn changed_lines(old: &[u8], new: &[u8]) -> usize {
    let lines = |text: &[u8]| {
        String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (old, new) = (lines(old), lines(new));
    // The longest common subsequence: `kept[m]` is its length for the lines of `old` so far and the first `m` of `new`.
    let mut kept = vec![0; new.len() + 1];
    for line in &old {
        let above = kept.clone();
        for (m, other) in new.iter().enumerate() {
            kept[m + 1] = if line == other { above[m] + 1 } else { above[m + 1].max(kept[m]) };
        }
    }
    old.len() + new.len() - 2 * kept[new.len()]
}
