//! What is SQLite's own: a file that may be absent, foreign or locked, and one writer.

use std::thread;
use std::time::{Duration, Instant};

use service::engine::db::Trouble;
use service::engine::http::problem::Problem;
use sqlx::{Executor, query};

use super::database::{open, open_with, rows};
use super::start::{never_works, refuses};
use crate::common::{Database, eventually, setup};

#[test]
fn a_file_that_is_no_database() {
    let setup = setup().file("data/service.db", &"garbage ".repeat(1000));
    refuses(
        setup.set("database.url", "sqlite:data/service.db"),
        &["database.url", "data/service.db", "not a database"],
    );
}

#[test]
fn a_folder_that_cannot_be_made() {
    let setup = setup().file("data", "a file");
    refuses(setup.set("database.url", "sqlite:data/service.db"), &["database.url", "data"]);
}

#[test]
fn a_check_makes_no_database() {
    let setup = setup().set("database.url", "sqlite:data/service.db");

    let report = String::from_utf8(setup.run(&["check"]).stdout).unwrap();

    assert!(report.contains("database  warning: "), "there is none yet: {report}");
    assert!(!setup.dir.path().join("data").exists());
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let setup = setup();
    assert_eq!(setup.run(&["migrate"]).status.code(), Some(0));
    let later = "INSERT INTO _sqlx_migrations VALUES (999, 'later', '', TRUE, x'00', 0)";
    setup.database.execute(later).await;

    refuses(setup, &["database.url", "migration 999", "newer"]);
}

#[tokio::test]
async fn the_start_waits_for_a_lock_and_a_signal_ends_the_waiting() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let mut service = setup.start_admin();
    assert_eq!(service.ask("/readyz").text(), "starting\n");
    assert_eq!(service.ask("/livez").status, 200);
    service.await_line("it waits", |line| line["message"] == "waiting for the database");

    service.signal("TERM");

    assert_eq!(service.wait(), 0);
}

#[tokio::test]
async fn a_lock_that_goes_lets_the_start_go_on_and_one_that_stays_does_not() {
    let setup = setup().set("database.lock_timeout", "1ms");
    let mut holder = setup.database.connect().await;
    holder.execute("BEGIN EXCLUSIVE").await.unwrap();
    let impatient = crate::common::setup().set("database.url", &setup.database.url());
    // sqlx tries for two seconds by itself to get past the lock.
    let refused =
        impatient.set("database.lock_timeout", "1ms").set("database.startup_timeout", "3s").run(&[]);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("locked") && stderr.contains("database.startup_timeout, 3s"), "{stderr}");

    let service = setup.start_admin();
    service.await_line("it waits", |line| line["message"] == "waiting for the database");
    holder.execute("ROLLBACK").await.unwrap();

    eventually("ready", || (service.ask("/readyz").status == 200).then_some(()));
}

#[tokio::test]
async fn readers_cannot_write() {
    let (db, _database) = open().await;

    let refused = query("INSERT INTO t VALUES (1)").execute(&db.read).await.unwrap_err();

    assert!(refused.to_string().contains("readonly"), "{refused}");
    assert_eq!(Trouble::of(&refused), Trouble::Refused);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up_and_its_connection_comes_back() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(1);
    })
    .await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000)
        SELECT count(*) FROM n";

    let given_up = query(endless).execute(&db.read).await.unwrap_err();

    assert_eq!(Trouble::of(&given_up), Trouble::Slow, "{given_up}");
    assert_eq!(Problem::from(given_up).status(), 504);
    assert_eq!(rows(&db).await, 0, "the only reader is there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_under_load_costs_503s_and_no_permit() {
    let service =
        setup().set("database.lock_timeout", "200ms").set("database.acquire_timeout", "500ms").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)").await;
    let insert = || service.get("/drill/insert").status;
    assert_eq!(insert(), 200);

    for _ in 0..3 {
        let mut holder = service.database.connect().await;
        holder.execute("BEGIN EXCLUSIVE").await.unwrap();
        let (mut statuses, begun) = (Vec::new(), Instant::now());
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(insert)).collect();
            statuses.extend(clients.into_iter().map(|client| client.join().unwrap()));
        });
        assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(service.ask("/livez").status, 200);

        holder.execute("ROLLBACK").await.unwrap();
        eventually("a good answer", || (insert() == 200).then_some(()));
    }
    let in_use = [("pool", Database::WRITE), ("state", "in_use")];
    service.await_metric("db_pool_connections", &in_use, |n| n == 0.0);
}

#[tokio::test]
async fn a_lock_of_another_process_is_a_503() {
    let (db, database) = open_with(|config| config.database.lock_timeout = Duration::from_millis(1)).await;
    let mut holder = database.connect().await;
    holder.execute("BEGIN IMMEDIATE").await.unwrap();

    let busy = query("INSERT INTO t VALUES (1)").execute(&db.write).await.unwrap_err();

    assert_eq!(Trouble::of(&busy), Trouble::Busy, "{busy}");
    assert_eq!(Problem::from(busy).status(), 503);
}

#[test]
fn a_url_that_can_never_work_is_refused_by_check_and_start_alike() {
    for (url, words) in [
        ("mysql://app:hunter2@db/app", "is not a SQLite URL"),
        ("sqlite::memory:", "a database of its own"),
        ("sqlite:data/x.db?mode=memory", "a database of its own"),
        ("sqlite:%3Amemory%3A", "a database of its own"),
        ("sqlite:", "names no file"),
        ("sqlite:data/", "names a folder"),
        ("sqlite:data/x.db?mode=hunter2", "an unknown mode"),
        ("sqlite:data/x.db?password=hunter2", "none of mode, cache, immutable and vfs"),
    ] {
        never_works(url, &[words]);
    }
}
