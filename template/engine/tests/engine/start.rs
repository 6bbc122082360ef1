//! What keeps a service from starting? It has to say what is wrong, where it was set, and what to do.

use std::net::TcpListener;

use crate::common::{Setup, read_log, setup};

/// Runs a service to its end. It must exit with 1 and say all of `words` on stderr, and in the log if there is a log.
pub fn refuses(setup: Setup, words: &[&str]) {
    let output = setup.run(&[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word} is not in: {stderr}");
    }
    let log = read_log(setup.dir.path());
    if !log.is_empty() {
        let said = |line: &serde_json::Value| words.iter().all(|word| line.to_string().contains(word));
        assert!(log.iter().any(said), "the log does not say so: {log:?}");
    }
}

#[test]
fn a_port_in_use() {
    for key in ["server.addr", "admin.addr"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap().to_string();
        refuses(setup().set(key, &addr), &[key, &addr, "in use"]);
    }
}

#[test]
fn a_log_directory_that_cannot_be_made() {
    let setup = setup().file("occupied", "a file").set("log.dir", "occupied/logs");
    refuses(setup, &["log.dir", "occupied/logs", "choose another"]);
}

#[cfg(feature = "_database")]
/// Asserts that `check`, `migrate` and the start say the same of a URL that can never work.
pub fn never_works(url: &str, words: &[&str]) {
    let setup = setup().set("database.url", url);
    for command in [&["check"][..], &["migrate"], &[]] {
        let output = setup.run(command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?} {url}: {stderr}");
        for word in [&["APP__DATABASE__URL: database.url: "], words].concat() {
            assert!(stderr.contains(word), "{word} is not in: {stderr}");
        }
        let said = [stderr, String::from_utf8(output.stdout).unwrap()].concat();
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(!setup.dir.path().join("logs").exists(), "the configuration comes before the log");
}

#[cfg(feature = "_database")]
#[test]
fn a_database_url_that_can_never_work() {
    for url in ["mysql://app:hunter2@db/app", "host=db password=hunter2", "db:/app:hunter2@h/app", ""] {
        never_works(url, &["is not a"]);
    }
}
