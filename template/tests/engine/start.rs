//! What keeps a service from starting, and what it says then: which, where it was set, what to do.

use std::net::TcpListener;

use crate::common::{Setup, read_log, setup};

/// Runs it to its end: it must exit 1 and say all of `words` on stderr; and in the log, if there is one.
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

#[test]
fn a_database_url_of_another_kind_shows_no_password() {
    let setup = setup().set("database.url", "mysql://app:hunter2@db/app");
    let output = setup.run(&[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("database.url mysql://***@db/app: is not a"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}
