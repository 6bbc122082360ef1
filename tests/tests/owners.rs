//! Can an owner have hundreds of tests, each with a database of its own, and is nothing left of them?

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use longpole_tests::generate::{NEWEST, generate};
use longpole_tests::place;
use longpole_tests::postgres::Postgres;
use longpole_tests::service::{build, cargo};
use longpole_tests::{repo, service};
use serde_json::Value;

/// A hundred tests end within this time on two cores.
const MOST: Duration = Duration::from_secs(30);

/// The two runs are timed, so they must not share the cores.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_hundred_tests_with_sqlite() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let service = generate(NEWEST, "hundred", &place("hundred")).done();
    let built = Built::of(&service, "");

    built.is_fast_and_leaves_nothing(100, &[]);
}

#[test]
fn a_hundred_tests_with_postgres() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let service = generate(NEWEST, "hundred-on-postgres", &place("hundred-on-postgres"));
    let service = service.answer("database", "postgres").done();
    let built = Built::of(&service, OF_POSTGRES);
    let server = Server(Postgres::start(&service));
    let before = server.names();
    let since = |ago| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - ago;
    let of_a_killed_run = format!("longpole_test_{}_1_0a0b0c0d_0", since(25 * 60 * 60));
    let of_another_run = format!("longpole_test_{}_1_0a0b0c0d_0", since(60));
    for name in [&of_a_killed_run, &of_another_run] {
        server.ask(&format!("CREATE DATABASE {name}"));
        server.ask(&format!("CREATE ROLE {name}"));
    }

    built.is_fast_and_leaves_nothing(101, &[("DATABASE_URL", &server.0.url)]);

    let mut expected = before;
    expected.insert(of_another_run);
    assert_eq!(server.names(), expected);
}

const OF_POSTGRES: &str = r#"
#[test]
fn a_role_goes_with_its_database() {
    let setup = setup!().migrated();
    setup.database.execute(&format!("CREATE ROLE {}", setup.database.name()));
}
"#;

/// The program of a service, and the program of its tests.
struct Built {
    program: PathBuf,
    tests: PathBuf,
}

impl Built {
    fn of(service: &Path, more: &str) -> Self {
        let text = fs::read_to_string(repo().join("tests/overlay/hundred.rs")).unwrap();
        fs::write(service.join("tests/hundred.rs"), text + more).unwrap();
        let program = build(service);
        let mut command = cargo(service);
        command.args(["test", "--locked", "--test", "hundred", "--no-run", "--message-format", "json"]);
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let messages = String::from_utf8(output.stdout).unwrap();
        let tests = messages.lines().find_map(|line| {
            let message: Value = serde_json::from_str(line).unwrap();
            let of_tests = message["target"]["name"] == "hundred" && message["target"]["kind"][0] == "test";
            Some(message["executable"].as_str().filter(|_| of_tests)?.into())
        });
        Self { program, tests: tests.unwrap() }
    }

    fn is_fast_and_leaves_nothing(&self, passed: usize, variables: &[(&str, &str)]) {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Command::new(&self.tests);
        command.env_remove("DATABASE_URL").envs(variables.iter().copied()).env("TMPDIR", temporary.path());
        // What is printed goes into a file: a process that is left behind would keep a pipe open, and this test would hang.
        let printed = tempfile::tempdir().unwrap();
        let file = File::create(printed.path().join("printed")).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let begun = Instant::now();
        command.status().unwrap();
        let took = begun.elapsed();

        let said = fs::read_to_string(printed.path().join("printed")).unwrap();
        println!("{passed} tests and one that fails took {took:?}");
        assert!(said.contains(&format!("FAILED. {passed} passed; 1 failed;")), "{said}");
        assert!(took < MOST, "it took {took:?}");
        assert_eq!(service::processes(&self.program), Vec::<u32>::new());
        let left: Vec<_> = fs::read_dir(&temporary).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A server that stays when the tests have ended, as the one of a team.
struct Server(Postgres);

impl Server {
    fn ask(&self, statement: &str) -> String {
        let output = Command::new("psql").args(["-XAtc", statement, &self.0.url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The names of all databases and roles.
    fn names(&self) -> BTreeSet<String> {
        let names = self.ask("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles");
        names.lines().map(str::to_owned).collect()
    }
}
