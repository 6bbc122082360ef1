//! Is a statement ended that runs too long, and at what cost to the others?

use std::thread;
use std::time::{Duration, Instant};

use longpole::{Problem, Trouble};
use sqlx::query;

use super::super::database::{open_with, rows};
use crate::common::setup;

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

#[tokio::test]
async fn a_statement_that_was_given_up_ends_its_transaction() {
    let (db, _database) =
        open_with(|config| config.database.statement_timeout = Duration::from_millis(300)).await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    let endless = sqlx::AssertSqlSafe(format!("INSERT INTO t {ENDLESS} SELECT i FROM n"));
    let given_up = tokio::time::timeout(Duration::from_millis(50), query(endless).execute(&mut *transaction));
    assert!(given_up.await.is_err());

    let alone = query("INSERT INTO t VALUES (2)").execute(&mut *transaction).await.unwrap_err();

    assert_eq!(Trouble::of(&alone), Trouble::Slow, "{alone}");
    transaction.commit().await.unwrap_err();
    query("INSERT INTO t VALUES (3)").execute(&db.write).await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

/// Would run for minutes.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)";

#[test]
fn a_write_that_runs_away_is_ended_at_its_timeout_and_costs_the_others_no_more() {
    let service = setup().set("database.statement_timeout", "1s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let in_use = [("pool", "write"), ("state", "in_use")];
    thread::scope(|scope| {
        let begun = Instant::now();
        let runaway = scope.spawn(|| service.get("/drill/run-away").status);
        service.await_metric("db_pool_connections", &in_use, |in_use| in_use == 1.0);
        let writers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..25).map(|_| service.get("/drill/insert").status).collect::<Vec<_>>()))
            .collect();
        assert_eq!(runaway.join().unwrap(), 504);
        for writer in writers {
            assert_eq!(writer.join().unwrap(), vec![200; 25], "a second's wait is within acquire_timeout");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
    let count = || service.database.count("SELECT count(*) FROM drill");
    assert_eq!(count(), 200, "nothing of what ran away, and everything else");
}

#[test]
fn a_write_whose_client_leaves_frees_the_writer_at_once() {
    let service = setup().set("database.statement_timeout", "9s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let labels = [("pool", "write"), ("state", "in_use")];
    let leaves = service.begin("/drill/run-away");
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == 1.0);
    let begun = Instant::now();
    drop(leaves);
    assert_eq!(service.get("/drill/insert").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_write_that_runs_away_does_not_hold_up_the_shutdown() {
    let mut service = setup().set("database.statement_timeout", "9s").set("shutdown.grace", "1s").start();
    service.database.execute("CREATE TABLE drill (n INTEGER)");
    let labels = [("pool", "write"), ("state", "in_use")];
    let _client = service.begin("/drill/run-away");
    service.await_metric("db_pool_connections", &labels, |in_use| in_use == 1.0);
    let begun = Instant::now();
    service.signal("TERM");
    assert_eq!(service.wait(), 3, "a request was cut off");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(service.log().iter().any(|line| line["message"] == "shutdown: database closed"));
}

#[tokio::test]
async fn a_read_that_runs_away_is_ended_too() {
    let (db, _database) = open_with(|config| {
        config.database.max_connections = 1;
        config.database.statement_timeout = Duration::from_millis(200);
    })
    .await;
    let begun = Instant::now();
    let endless = sqlx::AssertSqlSafe(format!("{ENDLESS} SELECT count(*) FROM n"));
    let error = query(endless).execute(&db.read).await.unwrap_err();
    assert_eq!(Trouble::of(&error), Trouble::Slow, "{error}");
    assert_eq!(rows(&db).await, 0, "the only reader is there again");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn after_a_statement_that_ran_away_nothing_of_its_transaction_can_be_kept() {
    let (db, _database) =
        open_with(|config| config.database.statement_timeout = Duration::from_millis(200)).await;
    let mut transaction = db.write.begin().await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut *transaction).await.unwrap();
    let endless = sqlx::AssertSqlSafe(format!("INSERT INTO t {ENDLESS} SELECT i FROM n"));
    query(endless).execute(&mut *transaction).await.unwrap_err();

    // SQLite has rolled it back, and would keep this alone.
    let alone = query("INSERT INTO t VALUES (2)").execute(&mut *transaction).await.unwrap_err();

    assert!(alone.to_string().contains("rolled this transaction back"), "{alone}");
    transaction.commit().await.unwrap_err();
    assert_eq!(rows(&db).await, 0);
    query("INSERT INTO t VALUES (3)").execute(&db.write).await.unwrap();
    assert_eq!(rows(&db).await, 1);
}
