//! What a handler leaves behind on a connection reaches nobody else.

use std::future::pending;

use longpole::{Db, spawn};
use sqlx::{AssertSqlSafe, query, query_scalar, raw_sql};

use super::database::{open_with, rows};
use crate::common::{Database, WRITE, setup};

async fn open() -> (Db, Database) {
    open_with(|config| config.database.max_connections = 1).await
}

/// Another transaction goes through, and what was left open is not in it.
async fn nothing_is_left(db: &Db, database: &Database, how: &str) {
    query("INSERT INTO t VALUES (2)").execute(&db.write).await.unwrap();
    let mut past_the_service = database.connect().await;
    let found: Vec<i64> =
        query_scalar("SELECT n FROM t ORDER BY n").fetch_all(&mut past_the_service).await.unwrap();
    assert_eq!(found, [2], "{how}");
    query("DELETE FROM t").execute(&db.write).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_left_open_is_rolled_back_before_anybody_else_gets_its_connection() {
    let (db, database) = open().await;
    for begin in
        ["BEGIN", "begin;", "-- why\nBEGIN", "SELECT 1; BEGIN", "SAVEPOINT here", "BEGIN; SAVEPOINT here"]
    {
        if WRITE == "main" && begin.starts_with("SAVEPOINT") {
            continue; // a server opens no transaction with it
        }
        let mut connection = db.write.acquire().await.unwrap();
        raw_sql(begin).execute(&mut connection).await.unwrap();
        query("INSERT INTO t VALUES (1)").execute(&mut connection).await.unwrap();
        drop(connection);
        nothing_is_left(&db, &database, begin).await;
    }
}

#[tokio::test]
async fn so_is_one_that_the_pool_itself_was_asked_to_begin() {
    let (db, database) = open().await;
    query("BEGIN").execute(&db.write).await.unwrap();
    nothing_is_left(&db, &database, "on the pool").await;
}

#[tokio::test]
async fn so_is_one_of_a_task_that_panics_or_is_given_up() {
    let (db, database) = open().await;
    for panics in [true, false] {
        let pool = db.write.clone();
        let (begun, wait) = tokio::sync::oneshot::channel();
        let task = spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            raw_sql("BEGIN").execute(&mut connection).await.unwrap();
            query("INSERT INTO t VALUES (1)").execute(&mut connection).await.unwrap();
            begun.send(()).unwrap();
            if panics {
                panic!("on purpose");
            }
            pending::<()>().await;
        });
        wait.await.unwrap();
        task.abort();
        assert!(task.await.is_err());
        nothing_is_left(&db, &database, "a task that ends").await;
    }
}

#[tokio::test]
async fn so_is_one_whose_statement_has_failed() {
    let (db, database) = open().await;
    let mut connection = db.write.acquire().await.unwrap();
    raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    query("INSERT INTO t VALUES (1)").execute(&mut connection).await.unwrap();
    query("INSERT INTO nowhere VALUES (1)").execute(&mut connection).await.unwrap_err();
    drop(connection);
    nothing_is_left(&db, &database, "after an error").await;
}

#[tokio::test]
async fn a_transaction_that_was_ended_by_hand_is_kept() {
    let (db, _database) = open().await;
    let mut connection = db.write.acquire().await.unwrap();
    for statement in ["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"] {
        raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    drop(connection);
    assert_eq!(rows(&db).await, 1);
}

#[tokio::test]
async fn savepoints_within_a_transaction_are_its_own() {
    let (db, _database) = open().await;
    let mut transaction = db.write.begin().await.unwrap();
    for statement in
        ["SAVEPOINT here", "INSERT INTO t VALUES (1)", "ROLLBACK TO here", "INSERT INTO t VALUES (2)"]
    {
        raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

#[test]
fn the_log_names_the_request_that_left_it_once() {
    let service = setup().start();
    let id = [("x-request-id", "leaves-it-open")];
    assert_eq!(service.call("GET", "/drill/leave-open", &id, b"").status, 200);

    let line = service
        .await_line("the warning", |line| line["request_id"] == "leaves-it-open" && line["level"] == "WARN");
    assert_eq!(line["route"], "/drill/leave-open");
    assert!(line["message"].as_str().unwrap().starts_with("a transaction was left open"), "{line}");
    // The next user waits until the connection is settled, so no further line can follow.
    assert_eq!(service.get("/drill/query/0").status, 200);
    let told =
        service.log().iter().filter(|line| line["message"].as_str().unwrap().contains("left open")).count();
    assert_eq!(told, 1);
}
