//! The status page, looked at while a drill makes one link after another the long pole.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::browser::Browser;
use crate::process::{PATIENCE, Process, poll, run};
use crate::repo;

/// Settings with which pools are easily full, and requests may wait for long. They are the same as in `ci/try --drill`.
pub const SMALL: [(&str, &str); 6] = [
    ("APP__SERVER__WORKER_THREADS", "2"),
    ("APP__ADMISSION__MAX_IN_FLIGHT", "16"),
    ("APP__ADMISSION__MAX_WAIT", "5s"),
    ("APP__DATABASE__ACQUIRE_TIMEOUT", "5s"),
    ("APP__HTTP_CLIENT__MAX_PER_HOST", "1"),
    ("APP__OFFLOAD__THREADS", "1"),
];

/// The page asks this often, in milliseconds. It asks faster than for people.
pub const EVERY: u32 = 400;

/// The phases, each with what the page says that its requests are doing.
pub const PHASES: [(&str, &str); 14] = [
    ("admission", "waiting to be let in"),
    ("request_body", "waiting for the client to send"),
    ("db_wait", "waiting for a database connection"),
    ("db_connect", "opening a database connection"),
    ("db_query", "waiting for the database to answer"),
    ("http_wait", "waiting for a place to call another service"),
    ("http_upstream", "waiting for another service"),
    ("offload_wait", "waiting for a thread"),
    ("offload_run", "working on a thread"),
    ("loop_delay", "waiting for the event loop"),
    ("cpu", "computing on the event loop"),
    ("response_body", "waiting for the client to read"),
    ("other", "waiting for something that has no name"),
    ("mail", "waiting for mail"), // a name of the owner's
];

/// The path of the compiled `ci/drill.rs`.
pub fn drill_program() -> PathBuf {
    static DIR: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let source = repo().join("ci/drill.rs");
        run(Command::new("rustc")
            .args(["--edition", "2024", "-O", "-o"])
            .arg(dir.path().join("drill"))
            .arg(source));
        dir
    });
    DIR.path().join("drill")
}

/// Drills one phase until the page says that this phase takes four fifths of the time.
pub fn names(browser: &Browser, service: &str, phase: &str, words: &str) {
    let mut drill = Command::new(drill_program());
    let _drill = Process::start(drill.args([service, "60", phase]).stdout(Stdio::null()));
    poll(&format!("the page names {phase}"), PATIENCE, || {
        let sentence = browser.run("return document.getElementById('sentence').textContent");
        let sentence = sentence.as_str().unwrap();
        if phase == "loop_delay" && sentence.starts_with("The event loop is blocked") {
            return Some(());
        }
        let (_, share) = sentence.split_once(" spends ")?;
        let (share, of) = share.split_once(" % of its time ")?;
        (of == format!("{words}.") && share.parse::<u32>().ok()? >= 80).then_some(())
    });
}

/// Every phase that a service with this database has, one after another.
pub fn names_every_phase(program: &Path, database: &str, variables: &[(&str, &str)]) {
    let is_there = |of_database: bool| database != "none" || !of_database;
    let small = SMALL.into_iter().filter(|(name, _)| is_there(name.contains("__DATABASE__")));
    let small: Vec<_> = small.chain(variables.iter().copied()).collect();
    let running = crate::service::start(program, &small);
    let browser = Browser::start();
    browser.go(&format!("http://{}/?every={EVERY}", running.admin));
    for (phase, words) in PHASES.into_iter().filter(|(phase, _)| is_there(phase.starts_with("db_"))) {
        names(&browser, &running.public, phase, words);
        std::thread::sleep(Duration::from_millis(700)); // the requests of the drill end
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}
