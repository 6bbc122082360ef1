//! What keeps a service from starting, and what it says then: which, where it was set, what to do.

use std::net::TcpListener;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use crate::common::{Setup, read_log, setup};

/// Runs it to its end: it must exit 1 and say all of `words` on stderr; and in the log, if there is one.
fn refuses(setup: Setup, words: &[&str]) {
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
fn a_database_that_is_none() {
    let setup = setup().file("data/service.db", &"garbage ".repeat(1000));
    refuses(setup, &["database.url", "data/service.db", "not a database"]);
}

#[test]
fn a_database_whose_folder_cannot_be_made() {
    let setup = setup().file("data", "a file");
    refuses(setup, &["database.url", "data"]);
}

#[test]
fn a_database_url_of_another_kind_shows_no_password() {
    let setup = setup().set("database.url", "postgres://app:hunter2@db/app");
    let output = setup.run(&[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("not a SQLite URL") && !stderr.contains("hunter2"), "{stderr}");
}

#[tokio::test]
async fn a_database_that_is_newer() {
    let setup = setup();
    change_history(&setup, "INSERT INTO _sqlx_migrations VALUES (999, 'later', '', TRUE, x'00', 0)").await;
    refuses(setup, &["database.url", "migration 999", "newer"]);
}

/// Brings the database up to date, and then changes what it remembers of its migrations.
async fn change_history(setup: &Setup, statement: &'static str) {
    let migrated = setup.run(&["migrate"]);
    assert_eq!(migrated.status.code(), Some(0), "{migrated:?}");
    let file = setup.dir.path().join("data/service.db");
    let options = SqliteConnectOptions::new().filename(file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    database.execute(statement).await.unwrap();
    database.close().await.unwrap();
}
